"""Image archive in the file system, below a root folder and the operator's output folders."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.results.archive_paths import checked_path
from hexfusion.application.ports.images import ArchiveError
from hexfusion.domain.errors import InvalidRequest, NotFound


class FileImages:
    """An `ImageArchive` below `root`, which need not exist yet.

    `owned` are further folders that may be written: absolute, or relative to the root; they may be
    links to other places. Other links that lead out of these folders are not followed.
    """

    def __init__(self, root: Path, *owned: Path) -> None:
        self._root = root.resolve()
        self._owned = (self._root, *((self._root / folder).resolve() for folder in owned))

    def holds(self, path: str) -> bool:
        try:
            self._inside(path)
        except (InvalidRequest, OSError, RuntimeError):  # a loop of links, by version of Python
            return False
        return True

    def names(self, folder: str) -> Sequence[str]:
        path = self._inside(folder)
        try:
            return os.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise _archive_error(path, error) from error

    def write(self, path: str, data: bytes, *, replace: bool = True) -> None:
        relative = Path(checked_path(path))
        # A link as last component is replaced, not followed, so only the folder is checked.
        folder = self._inside(str(relative.parent))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file may be in the folder's place
            raise _archive_error(folder, error) from error
        file = folder / relative.name
        try:
            write_atomically(file, data, replace=replace)
        except FileExistsError:
            raise
        except OSError as error:
            raise _archive_error(file, error) from error

    def read(self, path: str) -> bytes:
        file = self._inside(checked_path(path))
        try:
            return file.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound("picture", path) from None
        except OSError as error:
            raise _archive_error(file, error) from error

    def probe(self, folder: str) -> None:
        path = self._inside(folder)
        existing = next(each for each in (path, *path.parents) if os.path.lexists(each))
        try:
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(bytes(4096))
        except OSError as error:
            raise _archive_error(path, error) from error

    def _inside(self, path: str) -> Path:
        if path not in ("", "."):
            path = checked_path(path)
        resolved = (self._root / path).resolve()
        if not any(resolved.is_relative_to(folder) for folder in self._owned):
            raise InvalidRequest("path", f"{path!r} leads out of the archive")
        return resolved


def _archive_error(path: Path, error: OSError) -> ArchiveError:
    return ArchiveError(str(path), error.strerror or str(error))
