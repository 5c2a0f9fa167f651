"""How the files of a folder are found: by the storage adapter, which this backend does not know."""

from collections.abc import Callable, Iterable
from pathlib import Path

FilesBelow = Callable[[Path, Callable[[str], bool]], Iterable[Path]]
"""(folder, whether a file of that name is wanted) -> the files in the folder and below it."""
