"""`UpscalingNetwork`: the common interface of all upscaling networks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class UpscalingNetwork:
    """A network on its device.

    `run` takes pixels (1, 3, H, W) in `dtype`, 0 to 1, of any size, and returns (1, 3, H * scale,
    W * scale), about 0 to 1. `architecture` is its name for messages.
    """

    architecture: str
    run: Callable[[Tensor], Tensor]
    scale: int
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Built:
    """A network on the CPU in float32. `half`: it also works in half precision.

    `run` replaces calling the `module`, where that is not enough.
    """

    architecture: str
    module: nn.Module
    scale: int
    half: bool = True
    run: Callable[[Tensor], Tensor] | None = None

    def on(self, device: torch.device, dtype: torch.dtype) -> UpscalingNetwork:
        """Move it to `device` and `dtype`; to float32 if it does not work in half precision."""
        dtype = (
            dtype if self.half or dtype not in (torch.float16, torch.bfloat16) else torch.float32
        )
        module = self.module.eval().requires_grad_(False).to(device=device, dtype=dtype)
        return UpscalingNetwork(self.architecture, self.run or module, self.scale, device, dtype)
