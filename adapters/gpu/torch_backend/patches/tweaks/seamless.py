"""Tiling: pictures whose opposite edges meet (spec sampling.md 7)."""

from typing import cast

from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.patches.adjustable_layers import (
    AdjustableConv2d,
    weights_of,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import current


class SeamlessConv2d(AdjustableConv2d):
    """A convolution padded with the opposite edge if the job has tiling on, else with zeros."""

    def forward(self, input: Tensor) -> Tensor:
        """`input` is (n, channels, h, w), as for `nn.Conv2d`."""
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
    """Make every convolution with padding a `SeamlessConv2d`. Idempotent.

    The VAE encoder's down-sampling keeps its zeros: they are padded before its convolutions, which
    have no padding of their own.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and any(module.padding):
            # In place, as some blocks refer to the same convolution by two names.
            module.__class__ = SeamlessConv2d
