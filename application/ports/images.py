"""Port: the archive of saved pictures and text files."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.errors import HexfusionError


class ArchiveError(HexfusionError):
    """A file cannot be written or read: no permission, no space.

    `path` is the full path, `message` the operating system's error text.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class ImageArchive(Protocol):
    """Stores files under relative paths, with `/` as separator. Thread-safe.

    InvalidRequest("path", ...) is raised for a path that is empty, contains `..`, is too long for
    file systems, or is absolute and not below one of the folders given to the archive.
    ArchiveError is raised if the operating system fails.
    """

    def holds(self, path: str) -> bool:
        """Whether `path`, which need not exist, is one that files could be written to or below,
        permissions apart: no InvalidRequest is raised for it."""
        ...

    def names(self, folder: str) -> Sequence[str]:
        """Names of the files and folders in a folder, unordered; empty if it does not exist.

        An empty `folder` is the root of the archive.
        """
        ...

    def write(self, path: str, data: bytes, *, replace: bool = True) -> None:
        """Write a file atomically; missing folders are created.

        An existing file is replaced, unless `replace` is false: then FileExistsError is raised, and
        of several threads that write the same path at once exactly one succeeds.
        """
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises NotFound("picture", path)."""
        ...

    def probe(self, folder: str) -> None:
        """Raises ArchiveError unless files could be written to the folder, which need not exist.

        Leaves no file or folder behind.
        """
        ...
