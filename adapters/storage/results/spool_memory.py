"""Spools in memory; the counterpart of `spool_files`."""

from collections.abc import Iterable

from hexfusion.application.ports.spool import SpoolError


class MemorySpool:
    """A `Spool` in memory that takes `room` bytes, as a small disk does; None: any number."""

    def __init__(self, room: int | None = None) -> None:
        self._room = room
        self._kept: bytearray | None = bytearray()

    def append(self, pieces: Iterable[bytes]) -> int:
        """See `Spool.append`."""
        kept = self._open()
        start = len(kept)
        for piece in pieces:
            if self._room is not None and len(kept) + len(piece) > self._room:
                raise SpoolError("No space left on device")
            kept += piece
        return start

    def read(self, start: int, size: int) -> bytes:
        """See `Spool.read`."""
        return bytes(self._open()[start : start + size])

    def close(self) -> None:
        """See `Spool.close`."""
        self._kept = None

    def _open(self) -> bytearray:
        if self._kept is None:
            raise SpoolError("they have been given up")
        return self._kept
