"""Layers that use the LoRAs, hypernetworks and embeddings of the calling thread's job.

They replace torch's layers when a network is built. Outside of an `adding` context they compute
the same as torch's. Source: spec networks.md 2.5, 3.2; prompts.md 7.3.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.patches.additions import current
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Layer

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


def weights_of(layer: Layer, input: Tensor) -> tuple[Tensor, Tensor | None]:
    """A layer's weight and bias, with the job's LoRAs merged in, on the device of `input`.

    Weights that are on another device are copied for this call only (docs/adr/0016).
    """
    additions = current()
    if additions is None or additions.merged is None:
        weight, bias = layer.weight, layer.bias
    else:
        weight, bias = additions.merged.of(layer)
    return weight.to(input.device), None if bias is None else bias.to(input.device)


class AdjustableLinear(nn.Linear):
    """`nn.Linear` with the job's LoRAs."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, *weights_of(self, input))


class KeyProjection(AdjustableLinear):
    """An attention's projection to keys; hypernetworks change its input."""

    def forward(self, input: Tensor) -> Tensor:
        additions = current()
        if additions is not None:
            for hypernetwork in additions.hypernetworks:
                input = hypernetwork.keys(input)
        return super().forward(input)


class ValueProjection(AdjustableLinear):
    """An attention's projection to values; hypernetworks change its input."""

    def forward(self, input: Tensor) -> Tensor:
        additions = current()
        if additions is not None:
            for hypernetwork in additions.hypernetworks:
                input = hypernetwork.values(input)
        return super().forward(input)


class AdjustableConv2d(nn.Conv2d):
    """`nn.Conv2d`, padded with zeros, with the job's LoRAs."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = weights_of(self, input)
        return functional.conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )


class AdjustableGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with the job's LoRAs."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.group_norm(input, self.num_groups, *weights_of(self, input), self.eps)


class AdjustableLayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` with the job's LoRAs."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.layer_norm(
            input, self.normalized_shape, *weights_of(self, input), self.eps
        )


TokenReplacements = Sequence[tuple[int, int, Tensor]]
"""(row, first position, vectors (n, width)): vectors that replace n token embeddings of a row."""

_replacements: ContextVar[TokenReplacements] = ContextVar("rows", default=())


@contextmanager
def replacing_tokens(rows: TokenReplacements) -> Iterator[None]:
    """In this context the calling thread's token embeddings are replaced by those in `rows`."""
    token = _replacements.set(rows)
    try:
        yield
    finally:
        _replacements.reset(token)


class ReplaceableEmbedding(nn.Embedding):
    """`nn.Embedding` with the replacements of `replacing_tokens`, cut off at the row's end."""

    def forward(self, input: Tensor) -> Tensor:
        found = super().forward(input)
        rows = _replacements.get()
        if rows:
            found = found.clone()
        for row, start, vectors in rows:
            fitting = vectors[: found.shape[1] - start]
            found[row, start : start + len(fitting)] = fitting.to(found)
        return found


_ADJUSTABLE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: AdjustableLinear,
    nn.Conv2d: AdjustableConv2d,
    nn.GroupNorm: AdjustableGroupNorm,
    nn.LayerNorm: AdjustableLayerNorm,
}


def make_adjustable(network: nn.Module) -> None:
    """Replace every layer's class by one that supports `adding`. Idempotent."""
    for module in network.modules():
        if adjustable := _ADJUSTABLE.get(type(module)):
            # In place, as some blocks refer to the same layer by two names.
            module.__class__ = adjustable


def prepare_attention(unet: "UNet2DConditionModel") -> None:
    """Make every attention of a UNet support hypernetworks. Idempotent."""
    from diffusers.models.attention_processor import Attention

    for module in unet.modules():
        if isinstance(module, Attention):
            module.to_k.__class__ = KeyProjection
            module.to_v.__class__ = ValueProjection


def prepare_tokens(text_model: nn.Module) -> None:
    """Make a CLIP text model's token embeddings support `replacing_tokens`. Idempotent."""
    for name, module in text_model.named_modules():
        if name.endswith("token_embedding"):
            module.__class__ = ReplaceableEmbedding
