"""Pictures that live as long as the process: the in-memory twin of `images_files`."""

from PIL.Image import Image

from adapters.storage.images_entry import checked_path, encoded_entry
from domain.errors import NotFound
from domain.options import Options


class MemoryImages:
    """An `ImageArchive` in a dictionary: `files` maps paths to bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def save(self, image: Image, path: str, infotext: str | None, options: Options) -> str:
        where, data = encoded_entry(image, path, infotext, options)
        self.files[str(where)] = data
        return str(where)

    def read(self, path: str) -> bytes:
        try:
            return self.files[str(checked_path(path))]
        except KeyError:
            raise NotFound("picture", path) from None
