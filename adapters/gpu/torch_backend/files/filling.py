"""Filling a module that was built on the meta device with the tensors of a file."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from hexfusion.domain.errors import CheckpointError

StateDict = Mapping[str, Tensor]
"""Tensors by their names in a module's `state_dict`."""

Module = TypeVar("Module", bound=nn.Module)


def fill_module(module: Module, state: StateDict, file: str, *, copy: bool = False) -> Module:
    """Put tensors into the module as float32, and return it ready for inference.

    `copy` copies them out of a mapped file, which may be overwritten later. `position_ids` buffers,
    which files lack, are filled with 0, 1, 2 ... Raises as `check_state`.
    """
    check_state(module, state, file)
    single = {name: each.to(torch.float32, copy=copy) for name, each in state.items()}
    module.load_state_dict(single, assign=True)
    for part in module.modules():
        places = getattr(part, "position_ids", None)
        if isinstance(places, Tensor) and places.is_meta:
            part.position_ids = torch.arange(places.shape[-1])[None]
    return module.eval().requires_grad_(False)


def check_state(module: nn.Module, state: StateDict, file: str) -> None:
    """Raises `CheckpointError` unless `state` has exactly the module's tensors.

    It names the first one that is missing, superfluous, or has another shape or no floats.
    """
    wanted = module.state_dict()
    for name in (*wanted, *state):
        if name not in state:
            raise CheckpointError(file, "is missing", name)
        if name not in wanted:
            raise CheckpointError(file, "does not belong in this network", name)
        if state[name].shape != wanted[name].shape:
            shapes = f"has shape {list(state[name].shape)}, expected {list(wanted[name].shape)}"
            raise CheckpointError(file, shapes, name)
        if wanted[name].is_floating_point() and not state[name].is_floating_point():
            raise CheckpointError(file, f"holds {state[name].dtype}, expected floats", name)


def count_layers(state: StateDict, before: str) -> int:
    """One more than the largest number that follows `before` in the tensors' names."""
    numbers = (name[len(before) :].partition(".")[0] for name in state if name.startswith(before))
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
