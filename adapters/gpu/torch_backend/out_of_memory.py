"""Telling that memory ran out from everything else that goes wrong, and what to do about it."""

import errno
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from hexfusion.domain.errors import OutOfMemory

T = TypeVar("T")

log = logging.getLogger(__name__)

#: What torch and its libraries say where they raise a plain RuntimeError, in lower case.
_SAYINGS = (
    "out of memory",  # CUDA, MPS, XPU
    "defaultcpuallocator",  # "can't allocate memory" or "not enough memory"
    "cannot allocate memory",  # what the system says to whoever maps a file
    "unable to mmap",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "std::bad_alloc",
)


def ran_out(error: BaseException) -> bool:
    """Whether this error says that there is not enough memory, on the device or in RAM."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(saying in said for saying in _SAYINGS)


def with_memory(task: str, work: Callable[[], T], free: Callable[[], int]) -> T:
    """What `work` gives. If memory runs out, `free` lets go of what nobody uses, and if that was
    anything, `work` is begun once more.

    `free` returns the bytes it freed. A second time helps only then: work asks for the same memory
    again. Raises `OutOfMemory` saying what `task` was, and whatever else `work` raises.
    """
    try:
        return work()
    except Exception as error:
        if not ran_out(error):
            raise
        told = _told(error)
    # Out here the error is gone, and with it the frames that held what was allocated so far.
    freed = free()
    log.warning("out of memory for %s (%s): freed %d MiB", task, told, freed >> 20)
    if not freed:
        raise OutOfMemory(task, told)
    try:
        return work()
    except Exception as error:
        if not ran_out(error):
            raise
        told = _told(error)
    free()
    raise OutOfMemory(task, told)


def _told(error: Exception) -> str:
    """The allocator's words, without the advice behind them."""
    words = " ".join(str(error).split()) or type(error).__name__
    *_, said = words.partition("DefaultCPUAllocator: ")
    return (said or words).partition(". ")[0]
