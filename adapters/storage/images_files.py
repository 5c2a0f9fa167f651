"""Pictures as files below one folder."""

from pathlib import Path, PurePosixPath

from PIL.Image import Image

from adapters.storage.atomic_write import write_atomically
from adapters.storage.images_entry import checked_path, encoded_entry
from domain.errors import InvalidRequest, NotFound
from domain.options import Options


class FileImages:
    """An `ImageArchive` below `root`, which need not exist yet.

    `root` may be a link, but no link below it is followed out of it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def save(self, image: Image, path: str, infotext: str | None, options: Options) -> str:
        """As the port says; raises OSError when the file cannot be written."""
        where, data = encoded_entry(image, path, infotext, options)
        # The last part is replaced, not followed, so only its folder can lead astray.
        write_atomically(self._inside(where.parent) / where.name, data)
        return str(where)

    def read(self, path: str) -> bytes:
        try:
            return self._inside(checked_path(path)).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound("picture", path) from None

    def _inside(self, path: PurePosixPath) -> Path:
        resolved = (self._root / path).resolve()
        if not resolved.is_relative_to(self._root):
            raise InvalidRequest("path", f"{str(path)!r} leads out of the archive")
        return resolved
