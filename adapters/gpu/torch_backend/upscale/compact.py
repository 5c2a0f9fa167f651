"""SRVGGNetCompact, Real-ESRGAN's small network: convolutions, then one pixel shuffle.

Source: Wang et al., "Real-ESRGAN", release notes of v0.3; the files' layout.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict, fill_module
from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import Built
from hexfusion.domain.errors import CheckpointError


class Compact(nn.Module):
    """Upscales (B, 3, H, W) to (B, 3, H * scale, W * scale): nearest-neighbour plus detail."""

    def __init__(self, features: int, hidden: int, scale: int) -> None:
        super().__init__()
        self._scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(hidden):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        detail = functional.pixel_shuffle(self.body(x), self._scale)
        return detail + functional.interpolate(x, scale_factor=self._scale, mode="nearest")


def detect(state: StateDict) -> bool:
    """Whether these are a Compact's tensors: convolutions alternate with PReLU slopes."""
    first, slopes = state.get("body.0.weight"), state.get("body.1.weight")
    if first is None or slopes is None or "conv_first.weight" in state:
        return False
    return first.dim() == 4 and first.shape[1] == 3 and slopes.dim() == 1


def build(state: StateDict, file: str) -> Built:
    """The network with these tensors. Raises `CheckpointError`."""
    last = max(_place(name) for name in state)
    if last > len(state):  # before so many are built
        raise CheckpointError(file, f"has not the tensors of {last} layers")
    if f"body.{last}.weight" not in state:
        raise CheckpointError(file, "is missing", f"body.{last}.weight")
    made = state[f"body.{last}.weight"].shape[0]
    scale = math.isqrt(made // 3)
    if made != 3 * scale**2 or not scale:
        raise CheckpointError(file, f"makes {made} channels, which are no enlarged colours")
    with torch.device("meta"):
        network = Compact(state["body.0.weight"].shape[0], last // 2 - 1, scale)
    return Built("Compact", fill_module(network, state, file), scale)


def _place(name: str) -> int:
    """The number of a tensor's layer in the body; 0 for other tensors."""
    match name.split("."):
        case ["body", place, _] if place.isdecimal():
            return int(place)
    return 0
