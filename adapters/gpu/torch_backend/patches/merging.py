"""A checkpoint's weights with LoRAs merged in, beside the checkpoint's own.

Source: spec networks.md 2.3, 2.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.tensor_sizes import bytes_of
from hexfusion.adapters.gpu.torch_backend.patches.kinds import Kind, Misfit, Parts, delta

Layer = nn.Linear | nn.Conv2d | nn.GroupNorm | nn.LayerNorm
"""What a LoRA can be for."""

Weights = tuple[Tensor, Tensor | None]
"""A layer's weight and bias."""


@dataclass(frozen=True, eq=False)
class Change:
    """What one LoRA does to one layer; `lora` says which of those given."""

    lora: int
    kind: Kind
    parts: Parts
    multiplier: float
    rank: int | None = None


def merged(layer: Layer, changes: Sequence[Change]) -> Weights:
    """The layer's weight and bias with the changes added one after the other.

    Each is reckoned from what those before left, and the sum rounded to the layer's dtype. Raises
    `Misfit`.
    """
    weight, bias = layer.weight, layer.bias
    for change in changes:
        # A layer's network may be on the device for now, but was not when the LoRA was read.
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
    """A bias for each output channel. Raises `Misfit`."""
    if added.numel() != len(layer.weight):
        raise Misfit(f"has a bias of {added.numel()} for {len(layer.weight)} channels")
    flat = added.reshape(-1)
    return flat.to(layer.weight.dtype) if bias is None else bias + flat


class MergedWeights:
    """Weights by layer: merged ones are kept up to `budget` bytes, the others made at each call.

    Never changed after it is made, so any number of threads may ask. Holds no layer, and so keeps
    no checkpoint in memory. `misfits` counts, for each LoRA, the layers that its tensors do not
    fit; those it leaves as they are.
    """

    def __init__(self, changes: Mapping[Layer, Sequence[Change]], budget: int) -> None:
        self.misfits: dict[int, int] = {}
        self._kept: dict[int, Weights] = {}
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

    def _fitting(self, layer: Layer, wanted: Sequence[Change]) -> tuple[list[Change], Weights]:
        """Those changes that can be made, and what they make."""
        fitting: list[Change] = []
        weights: Weights = layer.weight, layer.bias
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
        """Bytes of all that it keeps."""
        parts = [
            part for made in self._made.values() for each in made for part in each.parts.values()
        ]
        kept = [each for weights in self._kept.values() for each in weights if each is not None]
        return bytes_of((*parts, *kept))

    def of(self, layer: Layer) -> Weights:
        """A layer's weight and bias; its own if no LoRA is for it."""
        key = id(layer)
        if key in self._kept:
            return self._kept[key]
        changes = self._made.get(key)
        return (layer.weight, layer.bias) if changes is None else merged(layer, changes)
