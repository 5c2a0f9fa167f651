"""`FilesBelow`: the type of the function that lists a folder's files, which is passed in."""

from collections.abc import Callable, Iterable
from pathlib import Path

FilesBelow = Callable[[Path, Callable[[str], bool]], Iterable[Path]]
"""(folder, predicate of file names) -> matching files in the folder and below, in natural order."""
