"""Approx NN: eight convolutions that decode a latent to a quarter of the picture's sides.

The network and its file are A1111's (`models/VAE-approx/model.pt`). Source: spec images.md 14.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, fill_module

#: Kernel side and output channels of each convolution.
_LAYERS = ((7, 8), (5, 16), (3, 32), (3, 64), (3, 32), (3, 16), (3, 8), (3, 3))
#: Cells that the convolutions, which have no padding, take off each side together.
_BORDER = sum(side // 2 for side, _ in _LAYERS)
_SLOPE = 0.1


class Approximation(nn.Module):
    """Decodes scaled latents (n, channels, h, w) to colours (n, 3, 2h, 2w), about -1 to 1.

    As in A1111 a LeakyReLU follows the last layer too.
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
    """An `Approximation` with these weights, for `channels` latents. Raises as `fill_module`."""
    with torch.device("meta"):
        network = Approximation(channels)
    return fill_module(network, state, file, copy=True)
