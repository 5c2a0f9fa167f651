"""Recognising out-of-memory errors, and retrying after freeing memory."""

import errno
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from hexfusion.domain.errors import OutOfMemory

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Parts of messages, in lower case, of RuntimeErrors by torch and its libraries.
_SAYINGS = (
    "out of memory",  # CUDA, MPS, XPU
    "defaultcpuallocator",  # "can't allocate memory" or "not enough memory"
    "cannot allocate memory",  # the operating system's, for mapped files
    "unable to mmap",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "std::bad_alloc",
)


def ran_out(error: BaseException) -> bool:
    """Whether the error means that memory ran out, on the device or in RAM."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(saying in said for saying in _SAYINGS)


def with_memory(task: str, work: Callable[[], T], free: Callable[[], int]) -> T:
    """Return `work()`; if memory runs out, call `free()` and try once more.

    `free` returns the bytes it freed; without any there is no second try. Raises `OutOfMemory`
    naming `task`, and any other error of `work`.
    """
    try:
        return work()
    except Exception as error:
        if not ran_out(error):
            raise
        reason = _first_sentence(error)
    # Outside of `except`, as the error's traceback holds frames with the memory allocated so far.
    freed = free()
    log.warning("out of memory for %s (%s): freed %d MiB", task, reason, freed >> 20)
    if not freed:
        raise OutOfMemory(task, reason)
    try:
        return work()
    except Exception as error:
        if not ran_out(error):
            raise
        reason = _first_sentence(error)
    free()
    raise OutOfMemory(task, reason)


def _first_sentence(error: Exception) -> str:
    """The first sentence of the allocator's message."""
    words = " ".join(str(error).split()) or type(error).__name__
    *_, said = words.partition("DefaultCPUAllocator: ")
    return (said or words).partition(". ")[0]
