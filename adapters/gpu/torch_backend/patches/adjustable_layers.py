"""Layers that ask, at each call, what the calling thread's job adds to them.

They take the place of torch's own when a network is built, and compute as those do outside of
`adding`. Source: spec networks.md 2.5, 3.2; prompts.md 7.3.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.patches.additions import current
from hexfusion.adapters.gpu.torch_backend.patches.merging import Layer

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


def weights_of(layer: Layer, input: Tensor) -> tuple[Tensor, Tensor | None]:
    """A layer's weight and bias as the calling thread's job has them, where its input is.

    What lies elsewhere is copied for this call alone (docs/adr/0016).
    """
    additions = current()
    if additions is None or additions.merged is None:
        weight, bias = layer.weight, layer.bias
    else:
        weight, bias = additions.merged.of(layer)
    return weight.to(input.device), None if bias is None else bias.to(input.device)


class AdjustableLinear(nn.Linear):
    """As `nn.Linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, *weights_of(self, input))


class KeyProjection(AdjustableLinear):
    """The one to an attention's keys: hypernetworks change what it sees."""

    def forward(self, input: Tensor) -> Tensor:
        additions = current()
        if additions is not None:
            for hypernetwork in additions.hypernetworks:
                input = hypernetwork.keys(input)
        return super().forward(input)


class ValueProjection(AdjustableLinear):
    """The same for its values."""

    def forward(self, input: Tensor) -> Tensor:
        additions = current()
        if additions is not None:
            for hypernetwork in additions.hypernetworks:
                input = hypernetwork.values(input)
        return super().forward(input)


class AdjustableConv2d(nn.Conv2d):
    """As `nn.Conv2d` with zeros for padding, of a subclass's choice perhaps none."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = weights_of(self, input)
        return functional.conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )


class AdjustableGroupNorm(nn.GroupNorm):
    """As `nn.GroupNorm`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.group_norm(input, self.num_groups, *weights_of(self, input), self.eps)


class AdjustableLayerNorm(nn.LayerNorm):
    """As `nn.LayerNorm`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.layer_norm(
            input, self.normalized_shape, *weights_of(self, input), self.eps
        )


Rows = Sequence[tuple[int, int, Tensor]]
"""(row, first position, vectors (n, width)): what stands in for token embeddings."""

_rows: ContextVar[Rows] = ContextVar("rows", default=())


@contextmanager
def placing(rows: Rows) -> Iterator[None]:
    """Inside, the calling thread's token embeddings are replaced where `rows` says."""
    token = _rows.set(rows)
    try:
        yield
    finally:
        _rows.reset(token)


class PlacedEmbedding(nn.Embedding):
    """As `nn.Embedding`, save what `placing` puts in; what reaches beyond the window is cut."""

    def forward(self, input: Tensor) -> Tensor:
        found = super().forward(input)
        rows = _rows.get()
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
    """Let every layer heed `adding`. Idempotent; outside of it nothing computed changes."""
    for module in network.modules():
        if adjustable := _ADJUSTABLE.get(type(module)):
            # In place, as some blocks know the same layer by two names.
            module.__class__ = adjustable


def prepare_attention(unet: "UNet2DConditionModel") -> None:
    """Let every attention of a UNet heed hypernetworks, too."""
    from diffusers.models.attention_processor import Attention

    for module in unet.modules():
        if isinstance(module, Attention):
            module.to_k.__class__ = KeyProjection
            module.to_v.__class__ = ValueProjection


def prepare_tokens(text_model: nn.Module) -> None:
    """Let the token embeddings of a CLIP text model heed `placing`."""
    for name, module in text_model.named_modules():
        if name.endswith("token_embedding"):
            module.__class__ = PlacedEmbedding
