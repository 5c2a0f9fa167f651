"""GFPGAN's generator: StyleGAN2 with plain convolutions, modulated by feature maps.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (arXiv 1912.04958):
modulated convolutions, skips of colour; Wang et al., "Towards Real-World Blind Face Restoration
with Generative Facial Prior" (arXiv 2101.04061), section 3.4: feature maps scaled and shifted in
half of their channels.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.shared_layers import leaky, twice

Noise = Callable[[int, int], Tensor]
"""(height, width) -> standard normal numbers, (1, 1, height, width)."""

Steer = tuple[Tensor, Tensor]
"""Scale and shift of the second half of a level's channels."""

_TINY = 1e-8


class _Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style; `normed` demodulates it."""

    def __init__(self, style: int, taken: int, made: int, side: int, *, normed: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, made, taken, side, side))
        self.modulation = nn.Linear(style, taken)
        self._normed = normed

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight[0] * self.modulation(style).view(1, -1, 1, 1)
        if self._normed:
            weight = weight * weight.square().sum((1, 2, 3), keepdim=True).add(_TINY).rsqrt()
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)


class _Styled(nn.Module):
    """A modulated convolution, noise, a bias, a leaky ReLU."""

    def __init__(self, style: int, taken: int, made: int) -> None:
        super().__init__()
        self.modulated_conv = _Modulated(style, taken, made, 3, normed=True)
        self.weight = nn.Parameter(torch.empty(1))
        self.bias = nn.Parameter(torch.empty(1, made, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        x = self.modulated_conv(x, style) * math.sqrt(2)
        return leaky(x + self.weight * noise(x.shape[2], x.shape[3]) + self.bias)


class _ToColour(nn.Module):
    """The colours that a level adds to the picture, (1, 3, H, W)."""

    def __init__(self, style: int, taken: int) -> None:
        super().__init__()
        self.modulated_conv = _Modulated(style, taken, 3, 1, normed=False)
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.modulated_conv(x, style) + self.bias


class _Constant(nn.Module):
    """The generator's learned constant input, (1, features, 4, 4)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, features, 4, 4))


class Generator(nn.Module):
    """Generates a picture (1, 3, side, side), with side 4 * 2 ** levels.

    `styles` is (1, 2 * levels + 2, S), one for each convolution: a level's colour layer shares its
    style with the next level's first convolution. `steers` has an entry for each level.
    """

    def __init__(self, state: FaceTensors, prefix: str) -> None:
        super().__init__()
        name = f"{prefix}style_conv1.modulated_conv"
        first = state.widths(f"{name}.weight", 5)[1]
        style = state.widths(f"{name}.modulation.weight", 2)[1]
        self.constant_input = _Constant(first)
        self.style_conv1 = _Styled(style, first, first)
        self.to_rgb1 = _ToColour(style, first)
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for number in range(state.count(f"{prefix}style_convs.")):
            name = f"{prefix}style_convs.{number}.modulated_conv.weight"
            made, taken = state.widths(name, 5)[1:3]
            self.style_convs.append(_Styled(style, taken, made))
            if number % 2:
                self.to_rgbs.append(_ToColour(style, made))

    def forward(self, styles: Tensor, steers: Sequence[Steer], noise: Noise) -> Tensor:
        style = styles[0]
        x = self.style_conv1(self.constant_input.weight, style[0], noise)
        picture = self.to_rgb1(x, style[1])
        for level, (scale, shift) in enumerate(steers):
            at = 2 * level + 1
            x = self.style_convs[2 * level](twice(x), style[at], noise)
            kept, steered = x.chunk(2, 1)
            x = torch.cat((kept, steered * scale + shift), 1)
            x = self.style_convs[2 * level + 1](x, style[at + 1], noise)
            picture = self.to_rgbs[level](x, style[at + 2]) + twice(picture)
        return picture
