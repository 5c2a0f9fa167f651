"""Use-case: how much memory there is. Source: spec api.md 14, row /memory."""

from collections.abc import Callable, Mapping
from typing import Any

from hexfusion.application.ports.inference import ModelHost

#: RAM in bytes: free, used by this process, total.
ReadRam = Callable[[], Mapping[str, float]]


class ReadMemory:
    """RAM of this process and machine, and the device's memory if it has its own."""

    def __init__(self, ram: ReadRam, host: ModelHost) -> None:
        self._ram = ram
        self._host = host

    def __call__(self) -> Mapping[str, Any]:
        """`{"ram": {free, used, total}, "cuda": {...} or {"error": "unavailable"}}`."""
        return {"ram": self._ram(), "cuda": self._host.memory() or {"error": "unavailable"}}
