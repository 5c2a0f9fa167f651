"""The files in a folder and below it, and how they are opened."""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hexfusion.domain.checkpoints import natural_key


def files_below(
    folder: Path, wanted: Callable[[str], bool], *, hidden: bool = True
) -> Iterator[Path]:
    """Folders in natural order, in each its files in natural order, those whose name is `wanted`.

    Links are followed, loops of links entered once; what is no regular file (or a broken link) is
    left out. `hidden` False leaves out folders whose name starts with a dot.
    """
    found: list[tuple[str, list[str]]] = []
    visited: set[str] = set()
    for current, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(current)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        if not hidden:
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found.append((current, [name for name in files if wanted(name)]))
    for current, files in sorted(found, key=lambda entry: natural_key(entry[0])):
        for name in sorted(files, key=natural_key):
            path = Path(current, name)
            if path.is_file():
                yield path


def open_file(path: Path) -> io.BufferedReader | io.BytesIO:
    """To read. Raises OSError, and at once, for what is no regular file: opening a pipe waits.

    The kernel's own files (`/proc`) say that they are empty; to us they are.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return io.BytesIO()


def opener(path: Path) -> Callable[[str], IO[bytes]]:
    """`open_file` of that path, whatever mode is asked for."""
    return lambda mode: open_file(path)
