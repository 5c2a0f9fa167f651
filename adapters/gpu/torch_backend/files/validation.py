"""Files of strangers, and tensors from them, looked at before they are made ready for a device."""

import stat
from pathlib import Path

import torch
from torch import Tensor

from hexfusion.domain.errors import CheckpointError


def regular_file_size(path: Path) -> int:
    """Bytes of a file that can be opened without waiting for somebody to write into it.

    Raises `CheckpointError` for what is no regular file, or empty, as the kernel's own files say
    that they are; `OSError` where it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise CheckpointError(str(path), "is no regular file")
    if not found.st_size:
        raise CheckpointError(str(path), "is empty: 0 bytes")
    return found.st_size


def check_plain(tensor: Tensor, file: str, name: str) -> Tensor:
    """The tensor, if it is one of plain numbers that are all in the file.

    A few bytes can claim to be a tensor of any size, each element the same one of the file. Raises
    `CheckpointError`.
    """
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_complex():
        raise CheckpointError(file, "is no tensor of plain numbers", name)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(file, "claims more numbers than the file holds", name)
    return tensor


def check_finite(tensor: Tensor, file: str, name: str) -> Tensor:
    """The same tensor. Raises `CheckpointError` if one of its numbers is infinite, or none."""
    if tensor.is_floating_point():
        wide = tensor if tensor.element_size() > 1 else tensor.float()  # float8 cannot be asked
        if not bool(wide.isfinite().all()):
            raise CheckpointError(file, "holds numbers that are not finite", name)
    return tensor
