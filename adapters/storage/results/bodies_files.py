"""Bodies of replies in files: those under way in temporary ones, those stored in the store's."""

import itertools
import logging
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from hexfusion.application.ports.jobs import Body, JobStoreError, whole
from hexfusion.application.ports.spool import SpoolError

log = logging.getLogger(__name__)

#: Largest body that is kept in memory, in bytes.
IN_MEMORY = 2**20
#: Largest body that is kept in memory where no file can be written, in bytes.
INSTEAD = 64 * 2**20
#: Bytes that are read at once.
CHUNK = 2**18


class FileBody:
    """A `Body` in an open file, which is closed with the last reference to this object.

    Readers do not share a position in the file. `start` is where the body begins, in bytes.
    """

    def __init__(self, descriptor: int, size: int, start: int = 0) -> None:
        """Takes the descriptor over."""
        self._descriptor = descriptor
        self._size = size
        self._start = start
        weakref.finalize(self, os.close, descriptor)

    @property
    def size(self) -> int:
        return self._size

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end. Raises OSError; the body is then as before."""
        left, at = memoryview(chunk), self._start + self._size
        while left:
            done = os.pwrite(self._descriptor, left, at)
            left, at = left[done:], at + done
        self._size += len(chunk)

    def chunks(self) -> Iterator[bytes]:
        done = 0
        while done < self._size:
            try:
                chunk = os.pread(
                    self._descriptor, min(CHUNK, self._size - done), self._start + done
                )
            except OSError as error:
                raise JobStoreError(f"a reply cannot be read: {error.strerror}") from error
            if not chunk:
                raise JobStoreError("a reply is cut short")
            done += len(chunk)
            yield chunk


def spooled(chunks: Iterable[bytes], most: int = IN_MEMORY, folder: Path | None = None) -> Body:
    """Collect a body: in memory up to `most` bytes, beyond that in a temporary file of `folder`,
    None for the system's.

    The file has no name, so that nothing is left of it whatever ends the process. Where it cannot
    be made or written, memory has to do, up to INSTEAD bytes. Raises `SpoolError` beyond that.
    """
    held: list[bytes] = []
    size = 0
    source = iter(chunks)
    for chunk in source:
        held.append(chunk)
        size += len(chunk)
        if size > most:
            break
    else:
        return whole(held)
    try:
        with tempfile.TemporaryFile(buffering=0, dir=folder) as file:
            body = FileBody(os.dup(file.fileno()), 0)
    except OSError as error:
        return _in_memory(error, itertools.chain(held, source))
    while held:
        try:
            body.append(held[0])
        except OSError as error:
            return _in_memory(error, itertools.chain(body.chunks(), held, source))
        del held[0]
        held += itertools.islice(source, 0 if held else 1)
    return body


def _in_memory(error: OSError, chunks: Iterable[bytes]) -> Body:
    held, size = [], 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size > INSTEAD:
            raise SpoolError(error.strerror or str(error)) from error
    log.warning("a reply of %d bytes stays in memory: %s", size, error)
    return whole(held)
