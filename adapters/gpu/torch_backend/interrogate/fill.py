"""A network of transformers' around a file's tensors."""

import torch
from torch import nn

from hexfusion.adapters.gpu.torch_backend.upscale.network import State, filled


def filled_from(module: nn.Module, state: State, file: str) -> nn.Module:
    """The module, built on the meta device, with these weights in single precision, for use.

    Its buffers that no file holds count positions. Raises `CheckpointError` naming a tensor that is
    missing, too many, or of another shape.
    """
    filled(module, state, file)
    for part in module.modules():
        places = getattr(part, "position_ids", None)
        if isinstance(places, torch.Tensor) and places.is_meta:
            part.position_ids = torch.arange(places.shape[-1])[None]
    return module.eval().requires_grad_(False)


def layers(state: State, before: str) -> int:
    """How many numbers follow `before` in the tensors' names, from 0 on."""
    numbers = (name[len(before) :].partition(".")[0] for name in state if name.startswith(before))
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
