"""Use-case: memory statistics. Source: spec api.md 14, row /memory."""

from collections.abc import Callable, Mapping
from typing import Any

from hexfusion.application.ports.inference import ModelHost

#: RAM in bytes: free, used by this process, total.
ReadRam = Callable[[], Mapping[str, float]]


class ReadMemory:
    """Reports RAM of process and machine, and the memory of a GPU."""

    def __init__(self, ram: ReadRam, host: ModelHost) -> None:
        self._ram = ram
        self._host = host

    def __call__(self) -> Mapping[str, Any]:
        """`{"ram": {free, used, total}, "cuda": {...} or {"error": "unavailable"}}`."""
        return {"ram": self._ram(), "cuda": self._host.memory() or {"error": "unavailable"}}
