"""Pictures that clients send, and Python callers hand over, to have them worked on.

Source: spec api.md 7.1, images.md 10.
"""

from collections.abc import Sequence

from PIL.Image import Image

from hexfusion.application.pictures.picture_files import (
    MAX_PIXELS,
    decoded_picture,
    eight_bit,
    infotext_so_far,
    made_ready,
    open_picture,
)
from hexfusion.application.pictures.png_chunks import without_pixels
from hexfusion.domain.errors import InvalidRequest

Sent = bytes | Image
"""A picture's file, or an image of a Python caller's, which is left as it is."""

#: Pixels that all pictures in one field may have together.
MAX_TOGETHER = 4 * MAX_PIXELS


def check_together(sent: Sequence[Sent], field: str) -> None:
    """Raises `InvalidRequest` naming `field` unless they are pictures, and not too large together.

    Each may be as small as thirty kilobytes and take two hundred megabytes once it is decoded.
    """
    total = 0
    for each in sent:
        opened = _opened(each, field)
        total += opened.width * opened.height
        if total > MAX_TOGETHER:
            raise InvalidRequest(field, f"pictures together may have {MAX_TOGETHER} pixels")


def _opened(sent: Sent, field: str) -> Image:
    if isinstance(sent, bytes):
        return open_picture(sent, field)
    if not 0 < sent.width * sent.height <= MAX_PIXELS:
        size = f"{sent.width}x{sent.height}"
        raise InvalidRequest(field, f"a picture may have 1 to {MAX_PIXELS} pixels, not {size}")
    return sent


def receive_all(sent: Sequence[Sent], field: str) -> list[Image]:
    """As `decoded_picture` has each. Raises as `check_together` does."""
    check_together(sent, field)
    return [decoded(each, field) for each in sent]


def decoded(sent: Sent, field: str) -> Image:
    """As `decoded_picture` has it."""
    if isinstance(sent, bytes):
        return decoded_picture(sent, field)
    return made_ready(_opened(sent, field), field)


def receive(sent: Sent, field: str = "image") -> Image:
    """The picture, as `decoded_picture` has it.

    What it tells of itself as text is in its `info`, its infotext under `parameters`. Raises
    `InvalidRequest` naming `field`.
    """
    opened, infotext = looked_at(sent, field)
    texts = {str(key): text for key, text in opened.info.items() if isinstance(text, str)}
    image = decoded(sent, field)
    image.info.clear()
    image.info.update(texts)
    if infotext is not None:
        image.info["parameters"] = infotext
    return image


def looked_at(sent: Sent, field: str = "image") -> tuple[Image, str | None]:
    """The picture with all its metadata read and its pixels left alone, and its infotext.

    Raises `InvalidRequest` naming `field`.
    """
    opened = _opened(without_pixels(sent) if isinstance(sent, bytes) else sent, field)
    return opened, infotext_so_far(opened)


def in_colour(image: Image) -> Image:
    """RGB or RGBA. Grey of 16 bits keeps its upper 8."""
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")
