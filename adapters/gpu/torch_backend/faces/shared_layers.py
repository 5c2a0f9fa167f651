"""Layers and resizing functions that several face networks share."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FixedNorm(nn.Module):
    """Batch normalisation with fixed statistics, and without torch's counter of batches."""

    def __init__(self, features: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return functional.batch_norm(
            x, mean, var, self.get_buffer("weight"), self.get_buffer("bias")
        )


def half(x: Tensor) -> Tensor:
    """`x` (B, C, H, W) with half the sides, bilinearly."""
    return functional.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)


def twice(x: Tensor) -> Tensor:
    """`x` (B, C, H, W) with twice the sides, bilinearly."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def twice_nearest(x: Tensor) -> Tensor:
    """`x` (B, C, H, W) with twice the sides, by nearest neighbours."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def leaky(x: Tensor) -> Tensor:
    """The leaky ReLU of generators: slope 0.2."""
    return functional.leaky_relu(x, 0.2)
