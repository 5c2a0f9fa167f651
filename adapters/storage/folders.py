"""The files in a folder and below it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from domain.checkpoints import natural_key


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
