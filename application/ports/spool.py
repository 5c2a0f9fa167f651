"""Port: room for the bytes of one job's results while it runs."""

from collections.abc import Callable, Iterable
from typing import Protocol

from hexfusion.domain.errors import HexfusionError


class SpoolError(HexfusionError):
    """The results of a job cannot be kept: the disk is full, or no file can be opened."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the job's pictures cannot be kept: {reason} (--spool-dir)")
        self.reason = reason


class Spool(Protocol):
    """The bytes of one job, which are gone with the last reference to it.

    One thread appends; any thread may read what has been appended.
    """

    def append(self, pieces: Iterable[bytes]) -> int:
        """Add these bytes; returns where they begin. Raises `SpoolError`."""
        ...

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start`, all of them appended before. Raises `SpoolError`."""
        ...

    def close(self) -> None:
        """Give up everything in it; reading then raises `SpoolError`. May be called again."""
        ...


OpenSpool = Callable[[], Spool]
"""Makes an empty spool. It takes no room before something is appended."""
