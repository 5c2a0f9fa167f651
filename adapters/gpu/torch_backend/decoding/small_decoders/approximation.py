"""Approx NN: eight convolutions from a latent to a picture of a quarter of the size.

The network and its file are A1111's (`models/VAE-approx/model.pt`). Source: spec images.md 14.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, fill_module

#: Side and width of each convolution, behind the latent's own channels.
_LAYERS = ((7, 8), (5, 16), (3, 32), (3, 64), (3, 32), (3, 16), (3, 8), (3, 3))
#: No convolution pads: this is what all of them together take off each side.
_BORDER = sum(side // 2 for side, _ in _LAYERS)
_SLOPE = 0.1


class Approximation(nn.Module):
    """Latents (n, channels, h, w) as the UNet sees them to colours (n, 3, 2h, 2w), about -1 to 1.

    The last layer too is followed by LeakyReLU: what is dark has to be far below zero before it.
    """

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        given = channels
        for number, (side, width) in enumerate(_LAYERS, 1):
            setattr(self, f"conv{number}", nn.Conv2d(given, width, side))
            given = width

    def forward(self, latents: Tensor) -> Tensor:
        x = functional.interpolate(latents, scale_factor=2.0, mode="nearest")
        x = functional.pad(x, (_BORDER,) * 4)
        for layer in self.children():
            x = functional.leaky_relu(layer(x), _SLOPE)
        return x


def build_approximation(state: StateDict, file: str, channels: int) -> nn.Module:
    """With these weights, for latents of that many channels. Errors as `fill_module`."""
    with torch.device("meta"):
        network = Approximation(channels)
    return fill_module(network, state, file, copy=True)
