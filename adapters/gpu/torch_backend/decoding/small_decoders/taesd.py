"""TAESD: a small autoencoder for the latents of a family, in the layout of its published files.

Tensors are numbered by their layers in two sequences (`taesd_encoder.pth`, `taesd_decoder.pth`).
Source: spec images.md 14, sampling.md 6.7 and 6.8.
"""

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, fill_module

WIDTH = 64
#: Blocks at each of the four sizes, from the picture's own down to the latent's.
_ENCODER, _DECODER = (1, 3, 3, 3), (3, 3, 3, 1)


class TaesdBlock(nn.Module):
    """A residual block of three convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) + x).relu()


class Squash(nn.Module):
    """Keeps latents within -3 to 3, smoothly."""

    def forward(self, latents: Tensor) -> Tensor:
        return 3 * torch.tanh(latents / 3)


def encoder(channels: int = 4) -> nn.Sequential:
    """The encoder: pictures (n, 3, 8h, 8w), 0 to 1, to scaled latents (n, channels, h, w)."""
    first, *others = _ENCODER
    layers: list[nn.Module] = [_conv(3, WIDTH), *_blocks(first)]
    for count in others:
        layers += [_conv(WIDTH, WIDTH, stride=2, bias=False), *_blocks(count)]
    return nn.Sequential(*layers, _conv(WIDTH, channels))


def decoder(channels: int = 4) -> nn.Sequential:
    """The decoder: scaled latents (n, channels, h, w) to pictures (n, 3, 8h, 8w), 0 to 1."""
    *others, last = _DECODER
    layers: list[nn.Module] = [Squash(), _conv(channels, WIDTH), nn.ReLU()]
    for count in others:
        layers += [*_blocks(count), nn.Upsample(scale_factor=2), _conv(WIDTH, WIDTH, bias=False)]
    return nn.Sequential(*layers, *_blocks(last), _conv(WIDTH, 3))


def build_encoder(state: StateDict, file: str, channels: int) -> nn.Module:
    """An encoder with these weights. Raises as `fill_module`."""
    with torch.device("meta"):
        network = encoder(channels)
    return fill_module(network, state, file, copy=True)


def build_decoder(state: StateDict, file: str, channels: int) -> nn.Module:
    """A decoder with these weights. Raises as `fill_module`."""
    with torch.device("meta"):
        network = decoder(channels)
    return fill_module(network, state, file, copy=True)


def _blocks(count: int) -> list[nn.Module]:
    return [TaesdBlock() for _ in range(count)]


def _conv(given: int, made: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(given, made, 3, stride=stride, padding=1, bias=bias)
