"""RRDBNet, the network of ESRGAN, BSRGAN and Real-ESRGAN.

Source: Wang et al., "ESRGAN" (arXiv 1809.00219); "Real-ESRGAN" (arXiv 2107.10833) for the pixel
unshuffle in front of networks that enlarge by less than 4.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, fill_module
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import Built
from hexfusion.domain.errors import CheckpointError

_SLOPE = 0.2  # slope of the leaky ReLUs, and factor of residual branches

#: A picture's sides are padded to a multiple of this before the pixel unshuffle, in pixels.
_MULTIPLE = 4

#: Names of other training programs -> Real-ESRGAN's.
_RENAMED = (
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"model\.1\.sub\.\d+\.(weight|bias)$", r"conv_body.\1"),
    (r"model\.0\.", r"conv_first."),
    (r"trunk_conv\.", r"conv_body."),
    (r"upconv(\d)\.", r"conv_up\1."),
    (r"HRconv\.", r"conv_hr."),
)


class _DenseBlock(nn.Module):
    """A dense block: five convolutions, each of which takes the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            made = growth if number < 5 else features
            taken = features + (number - 1) * growth
            self.add_module(f"conv{number}", nn.Conv2d(taken, made, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for number in range(1, 5):
            made = self.get_submodule(f"conv{number}")(seen)
            seen = torch.cat((seen, functional.leaky_relu_(made, _SLOPE)), 1)
        return self.get_submodule("conv5")(seen).mul_(_SLOPE).add_(x)


class _Block(nn.Module):
    """A residual block of dense residual blocks."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = _DenseBlock(features, growth)
        self.rdb2 = _DenseBlock(features, growth)
        self.rdb3 = _DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))).mul_(_SLOPE).add_(x)


class RRDBNet(nn.Module):
    """Upscales (B, 3, H, W) to (B, 3, H * s, W * s), with s = 2 ** `doublings` / `unshuffle`."""

    def __init__(
        self, features: int, growth: int, blocks: int, doublings: int, unshuffle: int
    ) -> None:
        super().__init__()
        self._doublings, self._unshuffle = doublings, unshuffle
        self.conv_first = nn.Conv2d(3 * unshuffle**2, features, 3, padding=1)
        self.body = nn.Sequential(*(_Block(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        for number in range(1, doublings + 1):
            self.add_module(f"conv_up{number}", nn.Conv2d(features, features, 3, padding=1))
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if self._unshuffle > 1:
            more = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
            x = functional.pad(
                x, more, "reflect" if min(width, height) >= _MULTIPLE else "replicate"
            )
            x = functional.pixel_unshuffle(x, self._unshuffle)
        first = self.conv_first(x)
        x = self.conv_body(self.body(first)).add_(first)
        for number in range(1, self._doublings + 1):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = functional.leaky_relu_(self.get_submodule(f"conv_up{number}")(x), _SLOPE)
        x = self.conv_last(functional.leaky_relu_(self.conv_hr(x), _SLOPE))
        scale = 2**self._doublings // self._unshuffle
        return x[..., : height * scale, : width * scale]


def real_esrgan_names(state: StateDict) -> dict[str, Tensor]:
    """The tensors by Real-ESRGAN's names, whichever program wrote them."""
    numbers = [int(each[1]) for name in state if (each := re.match(r"model\.(\d+)\.weight$", name))]
    last = max(numbers, default=0)
    named = {}
    for name, tensor in state.items():
        for pattern, replacement in _RENAMED:
            name = re.sub(f"^{pattern}", replacement, name)
        # The old names number what comes after the body: upsampling by threes, then the end.
        if numbered := re.match(r"model\.(\d+)\.(weight|bias)$", name):
            number, kind = int(numbered[1]), numbered[2]
            ends = {last: "conv_last", last - 2: "conv_hr"}
            name = f"{ends.get(number, f'conv_up{number // 3}')}.{kind}"
        named[name] = tensor
    return named


def detect(state: StateDict) -> bool:
    """Whether these are an RRDBNet's tensors; not ESRGAN+'s, which has further convolutions."""
    named = real_esrgan_names(state)
    own = "conv_first.weight" in named and "body.0.rdb1.conv1.weight" in named
    return own and not any(".conv1x1." in name for name in named)


def build(state: StateDict, file: str) -> Built:
    """The network with these tensors. Raises `CheckpointError`."""
    named = real_esrgan_names(state)
    features, channels = named["conv_first.weight"].shape[:2]
    unshuffle = math.isqrt(channels // 3)
    last = named.get("conv_last.weight")
    if last is None or last.shape[0] != 3 or channels != 3 * unshuffle**2 or not unshuffle:
        raise CheckpointError(file, "is an ESRGAN, but not one for pictures in colour")
    blocks = _blocks(named)
    if blocks > len(named):  # before so many are built
        raise CheckpointError(file, f"has not the tensors of {blocks} blocks")
    doublings = sum(bool(re.match(r"conv_up\d\.weight$", name)) for name in named)
    if 2**doublings % unshuffle:
        raise CheckpointError(file, f"enlarges by no whole factor: 2^{doublings} / {unshuffle}")
    with torch.device("meta"):
        network = RRDBNet(
            features=features,
            growth=named["body.0.rdb1.conv1.weight"].shape[0],
            blocks=blocks,
            doublings=doublings,
            unshuffle=unshuffle,
        )
    return Built("ESRGAN", fill_module(network, named, file), 2**doublings // unshuffle)


def _blocks(named: Mapping[str, Tensor]) -> int:
    return 1 + max(int(name.split(".")[1]) for name in named if name.startswith("body."))
