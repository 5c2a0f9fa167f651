"""Building blocks shared by the UNet and the decoder, with the module names of the LDM checkpoints.

Normalisations are trained with a large epsilon and a residual stream at unit scale. Scaling what
writes the stream by `s` and the epsilon by `s * s` leaves the function unchanged, so `export.py`
brings the weights to the standard 1e-5 and 1e-6: this keeps magnitudes alive through 32 groups of
two channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

GROUPS = 32


def zero(module: nn.Module) -> nn.Module:
    """`module` with all parameters set to zero."""
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


def conv3(inputs: int, outputs: int, stride: int = 1, padding: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding)


class Upsample(nn.Module):
    """Nearest neighbour times two, then a 3 x 3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv3(channels, channels)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def plus_minus(conv: nn.Conv2d, gain: float) -> None:
    """Make output channels 2k, 2k+1 carry +input k, -input k (times `gain`); others stay."""
    with torch.no_grad():
        for k in range(conv.in_channels):
            for sign, row in ((1, 2 * k), (-1, 2 * k + 1)):
                conv.weight[row] = 0
                conv.bias[row] = 0
                conv.weight[row, k, 1, 1] = sign * gain
