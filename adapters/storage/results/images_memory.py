"""In-memory image archive, for tests; the counterpart of `images_files`."""

import threading
from collections.abc import Sequence
from pathlib import PurePosixPath

from hexfusion.adapters.storage.results.archive_paths import checked_path
from hexfusion.application.ports.images import ArchiveError
from hexfusion.domain.errors import InvalidRequest, NotFound


class MemoryImages:
    """An `ImageArchive` in a dictionary: `files` maps paths to bytes.

    `owned` are the absolute folders that may be written.
    """

    def __init__(self, *owned: str) -> None:
        self.files: dict[str, bytes] = {}
        self._owned = owned
        self._lock = threading.Lock()

    def holds(self, path: str) -> bool:
        try:
            self._folder(path)
        except InvalidRequest:
            return False
        return True

    def names(self, folder: str) -> Sequence[str]:
        with self._lock:
            return list({path.parts[0] for path in self._below(self._folder(folder))})

    def write(self, path: str, data: bytes, *, replace: bool = True) -> None:
        where = self._inside(path)
        with self._lock:
            self._check_parents(where)
            taken = str(where) in self.files or self._is_folder(where)
            if taken and not replace:
                raise FileExistsError(path)
            if self._is_folder(where):
                raise ArchiveError(path, "is a folder")
            self.files[str(where)] = data

    def read(self, path: str) -> bytes:
        try:
            return self.files[str(self._inside(path))]
        except KeyError:
            raise NotFound("picture", path) from None

    def probe(self, folder: str) -> None:
        self._check_parents(self._folder(folder) / "name")

    def _folder(self, folder: str) -> PurePosixPath:
        return PurePosixPath() if folder in ("", ".") else self._inside(folder)

    def _inside(self, path: str) -> PurePosixPath:
        checked = PurePosixPath(checked_path(path))
        if checked.is_absolute() and not any(checked.is_relative_to(each) for each in self._owned):
            raise InvalidRequest("path", f"{path!r} leads out of the archive")
        return checked

    def _check_parents(self, path: PurePosixPath) -> None:
        for parent in path.parents:
            if str(parent) in self.files:
                raise ArchiveError(str(parent), "is no folder")

    def _is_folder(self, path: PurePosixPath) -> bool:
        return bool(self._below(path))

    def _below(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Files below the folder, relative to it."""
        paths = map(PurePosixPath, self.files)
        return [p.relative_to(folder) for p in paths if p != folder and p.is_relative_to(folder)]
