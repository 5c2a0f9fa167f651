"""Where finished pictures are kept, and the texts beside them."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.errors import HexfusionError


class ArchiveError(HexfusionError):
    """A file cannot be written or read: no permission, no space.

    `path` is where, in full; `message` is the system's word on it.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class ImageArchive(Protocol):
    """Files under relative paths with `/` between their parts. Safe to call from many threads.

    No path leads out of the archive: one with `..`, or an empty one, raises InvalidRequest("path",
    ...), and so does one too long for file systems, or an absolute one, except below the folders
    the archive was told to own. What the names mean is the caller's business. Where the system
    fails, ArchiveError is raised.
    """

    def names(self, folder: str) -> Sequence[str]:
        """Files and folders in a folder, unordered; none where there is no such folder.

        Here an empty path, too, is the archive's root.
        """
        ...

    def write(self, path: str, data: bytes, *, replace: bool = True) -> None:
        """Keep these bytes, whole or not at all; folders are made as needed.

        They take the place of what was there, unless `replace` is false: then FileExistsError is
        raised, and of many who write the same path at once one succeeds.
        """
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises NotFound("picture", path)."""
        ...

    def probe(self, folder: str) -> None:
        """Raises ArchiveError if nothing could be written to the folder, which need not exist yet.

        Nothing is left behind.
        """
        ...
