"""A checkpoint's weights with LoRAs merged in; its own weights stay as they are.

Source: spec networks.md 2.3, 2.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.patches.lora_kinds import (
    LoraKind,
    LoraTensors,
    Misfit,
    delta,
)

Layer = nn.Linear | nn.Conv2d | nn.GroupNorm | nn.LayerNorm
"""The layers that a LoRA can change."""

LayerWeights = tuple[Tensor, Tensor | None]
"""A layer's weight and bias."""


@dataclass(frozen=True, eq=False)
class Change:
    """One LoRA's change to one layer; `lora` is its index among the job's LoRAs."""

    lora: int
    kind: LoraKind
    parts: LoraTensors
    multiplier: float
    rank: int | None = None


def merged(layer: Layer, changes: Sequence[Change]) -> LayerWeights:
    """The layer's weight and bias with the changes added one after the other.

    Each change is computed from the weight with the changes before it, and the sum is rounded to
    the layer's dtype. Raises `Misfit`.
    """
    weight, bias = layer.weight, layer.bias
    for change in changes:
        # The layer may be on the device only for this call; the LoRA was read to where it is kept.
        where = next(iter(change.parts.values())).device
        weight, bias = weight.to(where), bias if bias is None else bias.to(where)
        added = delta(change.kind, change.parts, weight, change.multiplier, change.rank)
        weight = weight + added.weight
        if added.bias is not None:
            bias = _summed(layer, bias, added.bias)
    if weight.ndim == 4:  # the layout that networks are built with
        weight = weight.contiguous(memory_format=torch.channels_last)
    return weight.detach(), bias if bias is None else bias.detach()


def _summed(layer: Layer, bias: Tensor | None, added: Tensor) -> Tensor:
    """The layer's bias plus `added`, one number for each output channel. Raises `Misfit`."""
    if added.numel() != len(layer.weight):
        raise Misfit(f"has a bias of {added.numel()} for {len(layer.weight)} channels")
    flat = added.reshape(-1)
    return flat.to(layer.weight.dtype) if bias is None else bias + flat


class MergedWeights:
    """Merged weights by layer: kept up to `budget` bytes, the others computed at each call.

    Immutable, so safe to use from many threads. Refers to no layer, and so keeps no checkpoint in
    memory. `misfits` counts, by LoRA index, the layers that its tensors do not fit; those layers
    are left unchanged by it.
    """

    def __init__(self, changes: Mapping[Layer, Sequence[Change]], budget: int) -> None:
        self.misfits: dict[int, int] = {}
        self._kept: dict[int, LayerWeights] = {}
        self._made: dict[int, Sequence[Change]] = {}
        for layer, wanted in changes.items():
            fitting, weights = self._fitting(layer, wanted)
            if not fitting:
                continue
            size = sum(each.nbytes for each in weights if each is not None)
            if size <= budget:
                budget -= size
                self._kept[id(layer)] = weights
            else:
                self._made[id(layer)] = fitting

    def _fitting(self, layer: Layer, wanted: Sequence[Change]) -> tuple[list[Change], LayerWeights]:
        """The changes that fit the layer, and its weights with them."""
        fitting: list[Change] = []
        weights: LayerWeights = layer.weight, layer.bias
        for change in wanted:
            try:
                weights = merged(layer, [*fitting, change])
            except Misfit:
                self.misfits[change.lora] = self.misfits.get(change.lora, 0) + 1
            else:
                fitting.append(change)
        return fitting, weights

    @property
    def size(self) -> int:
        """Bytes of the merged weights, and of the LoRA tensors that are kept for each call."""
        parts = [
            part for made in self._made.values() for each in made for part in each.parts.values()
        ]
        kept = [each for weights in self._kept.values() for each in weights if each is not None]
        return bytes_of((*parts, *kept))

    def of(self, layer: Layer) -> LayerWeights:
        """A layer's weight and bias with the LoRAs; its own if none of them is for it."""
        key = id(layer)
        if key in self._kept:
            return self._kept[key]
        changes = self._made.get(key)
        return (layer.weight, layer.bias) if changes is None else merged(layer, changes)
