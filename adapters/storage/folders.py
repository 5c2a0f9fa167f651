"""Lists the files below a folder, and opens files without blocking."""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hexfusion.domain.checkpoints import natural_key


def is_hidden(name: str) -> bool:
    """Whether a file of this name is passed over in every search.

    macOS writes `._a.safetensors` beside each `a.safetensors` on file systems of others, and
    editors and downloads leave `.a.safetensors.part` and the like: none of them is a model.
    """
    return name.startswith(".")


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The regular files in `folder`, not below it, whose name matches `pattern` and does not start
    with a dot, sorted by name. `pattern` may contain `*` and `?`."""
    found = (path for path in folder.glob(pattern) if not is_hidden(path.name))
    return sorted(path for path in found if path.is_file())


def files_below(
    folder: Path, wanted: Callable[[str], bool], *, hidden: bool = True
) -> Iterator[Path]:
    """All regular files below `folder` whose name is `wanted`, folder by folder, in natural order.

    Links are followed, each folder once even if links form a loop; broken links are left out.
    Files whose name starts with a dot are always left out (see `is_hidden`); `hidden` False leaves
    out such folders, too.
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
            subfolders[:] = [name for name in subfolders if not is_hidden(name)]
        shown = [name for name in files if wanted(name) and not is_hidden(name)]
        found.append((current, shown))
    for current, files in sorted(found, key=lambda entry: natural_key(entry[0])):
        for name in sorted(files, key=natural_key):
            path = Path(current, name)
            if path.is_file():
                yield path


def open_file(path: Path) -> io.BufferedReader | io.BytesIO:
    """Open a regular file for reading. Raises OSError for anything else, without blocking on pipes.

    Files of size 0 yield no data, so those of `/proc` count as empty.
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
    """A function that opens `path` with `open_file`; its `mode` argument is ignored."""
    return lambda mode: open_file(path)
