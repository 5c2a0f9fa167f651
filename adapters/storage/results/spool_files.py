"""Spools in files without a name: whatever ends the process, nothing is left of them."""

import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import pread
from pathlib import Path
from typing import IO

from hexfusion.application.ports.spool import SpoolError


class FileSpool:
    """A `Spool` in a temporary file of `folder`, None for the system's folder.

    The file is made when something is appended first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._close: Callable[[], object] | None = None
        self._size = 0
        self._closed = False

    def append(self, pieces: Iterable[bytes]) -> int:
        """See `Spool.append`."""
        start = self._size
        with self._told():
            file = self._opened()
            for piece in pieces:
                self._size += _write(file, piece)
        return start

    def read(self, start: int, size: int) -> bytes:
        """See `Spool.read`."""
        if self._file is None or self._closed:
            raise SpoolError("they have been given up")
        number, parts = self._file.fileno(), []
        with self._told():
            while size and (part := pread(number, size, start)):
                parts.append(part)
                start, size = start + len(part), size - len(part)
        if size:
            raise SpoolError("the file ends too early")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """See `Spool.close`."""
        self._closed = True
        if self._close is not None:
            self._close()

    def _opened(self) -> IO[bytes]:
        if self._closed:
            raise SpoolError("they have been given up")
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115
            self._close = weakref.finalize(self, self._file.close)
        return self._file

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self._folder or tempfile.gettempdir()
            raise SpoolError(f"{where}: {error.strerror or error}") from error


def _write(file: IO[bytes], piece: bytes) -> int:
    """Write all of it; a nearly full disk may take a part."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
    return len(piece)
