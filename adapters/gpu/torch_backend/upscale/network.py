"""What every upscaling network is to the rest of this package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hexfusion.domain.errors import CheckpointError

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Network:
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

    def on(self, device: torch.device, dtype: torch.dtype) -> Network:
        """The same, ready to use; in single precision if `dtype` does not serve it."""
        dtype = (
            dtype if self.half or dtype not in (torch.float16, torch.bfloat16) else torch.float32
        )
        module = self.module.eval().requires_grad_(False).to(device=device, dtype=dtype)
        return Network(self.architecture, self.run or module, self.scale, device, dtype)


def filled(module: nn.Module, state: State, file: str) -> nn.Module:
    """The module, built on the meta device, with these weights in single precision.

    Raises as `check` does.
    """
    check(module, state, file)
    module.load_state_dict({name: each.float() for name, each in state.items()}, assign=True)
    return module


def check(module: nn.Module, state: State, file: str) -> None:
    """Raises `CheckpointError` naming a tensor that is missing, too many, or of another shape."""
    wanted = module.state_dict()
    for name in (*wanted, *state):
        if name not in state:
            raise CheckpointError(file, "is missing", name)
        if name not in wanted:
            raise CheckpointError(file, "does not belong in this network", name)
        if state[name].shape != wanted[name].shape:
            shapes = f"has shape {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
            raise CheckpointError(file, shapes, name)
