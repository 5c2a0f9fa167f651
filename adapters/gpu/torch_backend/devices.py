"""Choosing the device, torch's number of threads, and measuring memory."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

log = logging.getLogger(__name__)


def choose_device(index: str | None = None, *, cpu: bool = False) -> torch.device:
    """The CUDA device number `index` (default 0) if there is CUDA, else MPS, else the CPU.

    `cpu` chooses the CPU.
    """
    if not cpu and torch.cuda.is_available():
        return torch.device("cuda", int(index or 0))
    if not cpu and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class ProcessThreads:
    """The number of threads that torch computes with, which is one setting for the whole process.

    The first backend in a process sets it. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decided = False

    def use(self, count: int | None) -> None:
        """Use `count` threads; None leaves the choice to torch.

        If an earlier backend set another number, that stays, and a warning is logged.
        """
        with self._lock:
            if count is not None and not self._decided:
                torch.set_num_threads(count)
            self._decided = True
            now = torch.get_num_threads()
        if count not in (None, now):
            log.warning(
                "--threads %d has no effect: torch computes with %d in the whole of this process,"
                " as a backend before this one has it",
                count,
                now,
            )


#: The setting of this process.
THREADS = ProcessThreads()


def spare_memory(network: nn.Module) -> int:
    """Bytes that merged weights may take on the network's device: half of its free memory."""
    device = next(network.parameters()).device
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + cached) // 2
    import psutil

    return psutil.virtual_memory().available // 2


def total_ram() -> int:
    """Bytes of RAM that this process may use: the machine's, or its container's limit."""
    import psutil

    total = psutil.virtual_memory().total
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no such thing here, or "max"
        return total
    return min(limit, total)


def total_memory(device: torch.device) -> int:
    """Total bytes of the device's memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return total_ram()


def cuda_memory(device: torch.device) -> Mapping[str, Mapping[str, int]] | None:
    """CUDA memory statistics in bytes, grouped as in `/memory` (spec api.md 14); None elsewhere."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    stats = torch.cuda.memory_stats(device)

    def pair(name: str) -> Mapping[str, int]:
        return {
            "current": stats.get(f"{name}.all.current", 0),
            "peak": stats.get(f"{name}.all.peak", 0),
        }

    return {
        "system": {"free": free, "used": total - free, "total": total},
        "active": pair("active_bytes"),
        "allocated": pair("allocated_bytes"),
        "reserved": pair("reserved_bytes"),
        "inactive": pair("inactive_split_bytes"),
        "events": {
            "retries": stats.get("num_alloc_retries", 0),
            "oom": stats.get("num_ooms", 0),
        },
    }
