"""Where finished pictures are kept."""

from typing import Protocol

from PIL.Image import Image

from domain.options import Options


class ImageArchive(Protocol):
    """Pictures under relative paths with `/` between their parts. Safe to call from many threads.

    No path leads out of the archive: an absolute path, one with `..`, or an empty one raises
    InvalidRequest. Names are the caller's business.
    """

    def save(self, image: Image, path: str, infotext: str | None, options: Options) -> str:
        """Keep the picture, in place of any that was there, and return its path.

        The extension decides the format (png, jpg, jpeg, webp; InvalidRequest for others). It
        becomes png when the picture is too large for the other formats (spec prompts.md 9.2).
        The options `jpeg_quality`, `webp_lossless` and `enable_pnginfo` are heeded.
        """
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a saved picture. Raises NotFound("picture", path)."""
        ...
