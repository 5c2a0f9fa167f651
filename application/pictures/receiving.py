"""Pictures that clients send to have them worked on. Source: spec api.md 7.1, images.md 10."""

from collections.abc import Sequence

from PIL.Image import Image

from hexfusion.application.pictures.picture_files import (
    MAX_PIXELS,
    decoded_picture,
    eight_bit,
    infotext_so_far,
    open_picture,
)
from hexfusion.application.pictures.png_chunks import without_pixels
from hexfusion.domain.errors import InvalidRequest

#: Pixels that all pictures in one field may have together.
MAX_TOGETHER = 4 * MAX_PIXELS


def check_together(files: Sequence[bytes], field: str) -> None:
    """Raises `InvalidRequest` naming `field` unless they are pictures, and not too large together.

    Each may be as small as thirty kilobytes and take two hundred megabytes once it is decoded.
    """
    total = 0
    for data in files:
        opened = open_picture(data, field)
        total += opened.width * opened.height
        if total > MAX_TOGETHER:
            raise InvalidRequest(field, f"pictures together may have {MAX_TOGETHER} pixels")


def receive_all(files: Sequence[bytes], field: str) -> list[Image]:
    """As `decoded_picture` has each. Raises as `check_together` does."""
    check_together(files, field)
    return [decoded_picture(each, field) for each in files]


def receive(data: bytes, field: str = "image") -> Image:
    """The picture in these bytes, as `decoded_picture` has it.

    What it tells of itself as text is in its `info`, its infotext under `parameters`. Raises
    `InvalidRequest` naming `field`.
    """
    opened = open_picture(without_pixels(data), field)
    infotext = infotext_so_far(opened)
    texts = {str(key): text for key, text in opened.info.items() if isinstance(text, str)}
    image = decoded_picture(data, field)
    image.info.clear()
    image.info.update(texts)
    if infotext is not None:
        image.info["parameters"] = infotext
    return image


def in_colour(image: Image) -> Image:
    """RGB or RGBA. Grey of 16 bits keeps its upper 8."""
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")
