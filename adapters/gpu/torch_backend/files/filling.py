"""A module built on the meta device, filled with the tensors of a file."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from hexfusion.domain.errors import CheckpointError

StateDict = Mapping[str, Tensor]
"""Tensors by the names that a module's `state_dict` has for them."""

Module = TypeVar("Module", bound=nn.Module)


def fill_module(module: Module, state: StateDict, file: str, *, copy: bool = False) -> Module:
    """The module with these tensors in single precision, ready to be called.

    `copy` takes them out of a mapped file, so that one overwritten later cannot reach a running
    network. Buffers that no file holds count positions. Raises as `check_state`.
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
    """Raises `CheckpointError` naming a tensor that is missing, too many, or of another shape or
    kind."""
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
    """How many numbers follow `before` in the tensors' names, from 0 to the largest."""
    numbers = (name[len(before) :].partition(".")[0] for name in state if name.startswith(before))
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
