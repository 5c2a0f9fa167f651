"""Tensors from files of strangers, made ready for a device."""

import torch
from torch import Tensor

from domain.errors import CheckpointError


def sound(tensor: Tensor, file: str, name: str) -> Tensor:
    """The tensor, if it is one of plain numbers that are all in the file.

    A few bytes can claim to be a tensor of any size, each element the same one of the file. Raises
    `CheckpointError`.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise CheckpointError(file, "is no tensor of plain numbers", name)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(file, "claims more numbers than the file holds", name)
    return tensor
