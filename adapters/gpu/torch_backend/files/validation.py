"""Checks of untrusted files and of tensors from them, before they are used."""

import stat
from pathlib import Path

import torch
from torch import Tensor

from hexfusion.domain.errors import CheckpointError


def regular_file_size(path: Path) -> int:
    """The size of a regular file in bytes.

    Raises `CheckpointError` for one that is empty, or not regular: opening a pipe, for example,
    would block. Raises `OSError` where it cannot be read.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise CheckpointError(str(path), "is no regular file")
    if not found.st_size:
        raise CheckpointError(str(path), "is empty: 0 bytes")
    return found.st_size


def check_plain(tensor: Tensor, file: str, name: str) -> Tensor:
    """Returns `tensor` if it is a plain dense tensor with all its elements in the file.

    A file of a few bytes can describe a tensor of any size by a stride of 0. Raises
    `CheckpointError`, naming `file` and `name`.
    """
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_complex():
        raise CheckpointError(file, "is no tensor of plain numbers", name)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(file, "claims more numbers than the file holds", name)
    return tensor


def check_finite(tensor: Tensor, file: str, name: str) -> Tensor:
    """Returns `tensor`. Raises `CheckpointError` if it has an infinity or NaN."""
    if tensor.is_floating_point():
        wide = tensor if tensor.element_size() > 1 else tensor.float()  # float8 has no isfinite
        if not bool(wide.isfinite().all()):
            raise CheckpointError(file, "holds numbers that are not finite", name)
    return tensor
