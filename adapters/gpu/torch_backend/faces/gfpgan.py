"""GFPGAN: a U-net encodes a damaged face, a StyleGAN2 generator restores it.

Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior"
(arXiv 2101.04061). Names of tensors: GFPGANv1.4.pth (v1.3 too), the "clean" network, of plain
convolutions.
"""

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.faces.face_network import FaceNetwork, FaceTensors
from hexfusion.adapters.gpu.torch_backend.faces.shared_layers import half, leaky, twice
from hexfusion.adapters.gpu.torch_backend.faces.stylegan import Generator, Noise
from hexfusion.domain.errors import CheckpointError

#: Pixels of a face's sides, and of the smallest feature maps.
SIDE, _SMALLEST = 512, 4
_DECODER = "stylegan_decoder."


class _Block(nn.Module):
    """A residual block of two convolutions, that halves or doubles the sides between them."""

    def __init__(self, taken: int, made: int, *, down: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(taken, taken, 3, padding=1)
        self.conv2 = nn.Conv2d(taken, made, 3, padding=1)
        self.skip = nn.Conv2d(taken, made, 1, bias=False)
        self._down = down

    def forward(self, x: Tensor) -> Tensor:
        resized = half if self._down else twice
        y = leaky(self.conv2(resized(leaky(self.conv1(x)))))
        return y + self.skip(resized(x))


def _steering(state: FaceTensors, name: str) -> nn.Sequential:
    """Layers from feature maps to the scale or shift of half of the generator's channels."""
    inner, taken, *_ = state.widths(f"{name}.0.weight")
    made = state.widths(f"{name}.2.weight")[0]
    first, second = nn.Conv2d(taken, inner, 3, padding=1), nn.Conv2d(inner, made, 3, padding=1)
    return nn.Sequential(first, nn.LeakyReLU(0.2), second)


class Gfpgan(FaceNetwork):
    """Restores a face: (1, 3, 512, 512) RGB, -1 to 1, to the same shape, about -1 to 1."""

    def __init__(self, state: FaceTensors) -> None:
        super().__init__()
        first = state.widths("conv_body_first.weight")[0]
        self.conv_body_first = nn.Conv2d(3, first, 1)
        levels = range(state.count("conv_body_down."))
        if _SMALLEST << len(levels) != SIDE:
            message = f"is a GFPGAN for faces of {_SMALLEST << len(levels)} pixels, not {SIDE}"
            raise CheckpointError(state.file, message)
        self.conv_body_down = nn.ModuleList(
            _block(state, f"conv_body_down.{number}", down=True) for number in levels
        )
        made, taken, *_ = state.widths("final_conv.weight")
        self.final_conv = nn.Conv2d(taken, made, 3, padding=1)
        made, taken = state.widths("final_linear.weight", 2)
        self.final_linear = nn.Linear(taken, made)
        self.conv_body_up = nn.ModuleList(
            _block(state, f"conv_body_up.{number}", down=False) for number in levels
        )
        for name in ("condition_scale", "condition_shift"):
            steerings = (_steering(state, f"{name}.{number}") for number in levels)
            self.add_module(name, nn.ModuleList(steerings))
        self.stylegan_decoder = Generator(state, _DECODER)

    def forward(self, x: Tensor, noise: Noise) -> Tensor:
        x = leaky(self.conv_body_first(x))
        seen = []
        for block in self.conv_body_down:
            x = block(x)
            seen.append(x)
        x = leaky(self.final_conv(x))
        styles = self.final_linear(x.flatten(1)).view(1, 2 * len(seen) + 2, -1)
        steers = []
        scales, shifts = (
            self.get_submodule("condition_scale"),
            self.get_submodule("condition_shift"),
        )
        parts = zip(
            reversed(seen), self.conv_body_up, scales.children(), shifts.children(), strict=True
        )
        for skip, block, scale, shift in parts:
            x = block(x + skip)
            steers.append((scale(x), shift(x)))
        return self.stylegan_decoder(styles, steers, noise)

    def fits(self) -> bool:
        """See `FaceNetwork.fits`."""
        face = torch.empty(1, 3, SIDE, SIDE)
        return (
            self(face, lambda height, width: torch.empty(1, 1, height, width)).shape == face.shape
        )


def _block(state: FaceTensors, name: str, *, down: bool) -> _Block:
    made, taken, *_ = state.widths(f"{name}.conv2.weight")
    return _Block(taken, made, down=down)


def noise_of(seed: int, device: torch.device) -> Noise:
    """A source of noise for `seed`, with the same numbers on every device."""
    generator = torch.Generator().manual_seed(seed)

    def noise(height: int, width: int) -> Tensor:
        return torch.randn(1, 1, height, width, generator=generator).to(device)

    return noise
