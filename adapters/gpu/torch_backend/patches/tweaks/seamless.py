"""Tiling: pictures whose opposite edges meet (spec sampling.md 7)."""

from typing import cast

from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.patches.adjustable_layers import (
    AdjustableConv2d,
    weights_of,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import current


class SeamlessConv2d(AdjustableConv2d):
    """A convolution that pads with the opposite edge where the job wants it, else with zeros."""

    def forward(self, input: Tensor) -> Tensor:
        """(n, channels, h, w) as `nn.Conv2d`."""
        computation, padding = current(), self.padding
        if computation is not None and computation.tweaks.tiling:
            down, across = cast("tuple[int, int]", padding)
            input = nn.functional.pad(input, (across, across, down, down), mode="circular")
            padding = 0, 0
        weight, bias = weights_of(self, input)
        return nn.functional.conv2d(
            input, weight, bias, self.stride, padding, self.dilation, self.groups
        )


def make_seamless(network: nn.Module) -> None:
    """Let every convolution that pads do so. Idempotent.

    The VAE encoder's down-sampling is left alone: its convolutions do not pad, zeros are put to
    the right and below before them.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and any(module.padding):
            # In place, as some blocks know the same convolution by two names.
            module.__class__ = SeamlessConv2d
