"""What every upscaling network is to the rest of this package."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class UpscalingNetwork:
    """A network on its device.

    `run` takes pixels (1, 3, H, W) in `dtype`, 0 to 1, of any size, and answers (1, 3, H scale,
    W scale), about 0 to 1. `architecture` is its name for people.
    """

    architecture: str
    run: Callable[[Tensor], Tensor]
    scale: int
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Built:
    """A network still on the CPU, in single precision. `half` says whether half serves it."""

    architecture: str
    module: nn.Module
    scale: int
    half: bool = True
    run: Callable[[Tensor], Tensor] | None = None  # where it is more than calling the module

    def on(self, device: torch.device, dtype: torch.dtype) -> UpscalingNetwork:
        """The same, ready to use; in single precision if `dtype` does not serve it."""
        dtype = (
            dtype if self.half or dtype not in (torch.float16, torch.bfloat16) else torch.float32
        )
        module = self.module.eval().requires_grad_(False).to(device=device, dtype=dtype)
        return UpscalingNetwork(self.architecture, self.run or module, self.scale, device, dtype)
