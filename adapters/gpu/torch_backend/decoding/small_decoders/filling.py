"""Tensors of a file into a small network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hexfusion.domain.errors import CheckpointError

State = Mapping[str, Tensor]


def filled(network: nn.Module, state: State, file: str) -> nn.Module:
    """The network, built on the meta device, with these weights in single precision.

    Raises `CheckpointError` naming a tensor that is missing, too many, or of another shape or kind.
    """
    wanted = network.state_dict()
    for name in (*wanted, *state):
        if name not in state:
            raise CheckpointError(file, "is missing", name)
        if name not in wanted:
            raise CheckpointError(file, "does not belong in this network", name)
        if state[name].shape != wanted[name].shape:
            shapes = f"has shape {list(state[name].shape)}, expected {list(wanted[name].shape)}"
            raise CheckpointError(file, shapes, name)
        if not state[name].is_floating_point():
            raise CheckpointError(file, f"holds {state[name].dtype}, expected floats", name)
    copied = {name: tensor.to(torch.float32, copy=True) for name, tensor in state.items()}
    network.load_state_dict(copied, assign=True)
    return network.eval().requires_grad_(False)
