"""What every archive does with a picture before keeping it: check the path, choose the format."""

from pathlib import PurePosixPath, PureWindowsPath

from PIL.Image import Image

from application.pictures import encode_picture, fits
from domain.errors import InvalidRequest
from domain.options import Options


def checked_path(path: str) -> PurePosixPath:
    """`path`, made sure to stay below wherever it is put, on any system.

    Raises InvalidRequest.
    """
    windows = PureWindowsPath(path)  # splits at both kinds of slash, and knows drives
    if not windows.parts or windows.anchor or ".." in windows.parts or "\0" in path:
        raise InvalidRequest("path", f"{path!r} is no path inside the archive")
    return PurePosixPath(path)


def encoded_entry(
    image: Image, path: str, infotext: str | None, options: Options
) -> tuple[PurePosixPath, bytes]:
    """Where the picture goes and the bytes to put there, as the port describes."""
    where = checked_path(path)
    if not fits(image, where.suffix[1:]):
        where = where.with_suffix(".png")
    data = encode_picture(
        image,
        where.suffix[1:],
        infotext,
        quality=options.integer("jpeg_quality"),
        embed=options.flag("enable_pnginfo"),
        lossless=options.flag("webp_lossless"),
    )
    return where, data
