"""Checks and decodes the pictures that requests contain, as file bytes or as Pillow images.

Source: spec api.md 7.1, images.md 10.
"""

from collections.abc import Sequence

from PIL.Image import Image

from hexfusion.application.pictures.embedded_texts import texts_of
from hexfusion.application.pictures.picture_files import (
    MAX_PIXELS,
    decode_upright,
    decoded_picture,
    eight_bit,
    infotext_so_far,
    open_picture,
)
from hexfusion.application.pictures.png_chunks import without_pixels
from hexfusion.domain.errors import InvalidRequest

Sent = bytes | Image
"""A picture in a request: the bytes of its file, or a Pillow image, which is not modified."""

#: Most pixels of all pictures in one request field together.
MAX_TOGETHER = 4 * MAX_PIXELS


def check_together(sent: Sequence[Sent], field: str) -> None:
    """Raises `InvalidRequest` naming `field` for invalid pictures, and if all of them together have
    more than MAX_TOGETHER pixels.

    A file of 30 kB may take 200 MB once it is decoded.
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
    """Decode all pictures; see `decoded_picture`. Raises as `check_together` does."""
    check_together(sent, field)
    return [decoded(each, field) for each in sent]


def decoded(sent: Sent, field: str) -> Image:
    """Decode one picture; see `decoded_picture`."""
    if isinstance(sent, bytes):
        return decoded_picture(sent, field)
    return decode_upright(_opened(sent, field), field)


def receive(sent: Sent, field: str = "image") -> Image:
    """Decode one picture; see `decoded_picture`.

    Its `info` has its text metadata, with the infotext under `parameters`. Raises `InvalidRequest`
    naming `field`.
    """
    opened, infotext = open_with_infotext(sent, field)
    texts = texts_of(opened)
    image = decoded(sent, field)
    image.info.clear()
    image.info.update(texts)
    if infotext is not None:
        image.info["parameters"] = infotext
    return image


def open_with_infotext(sent: Sent, field: str = "image") -> tuple[Image, str | None]:
    """(the picture with its metadata read but not decoded, its infotext or None).

    Raises `InvalidRequest` naming `field`.
    """
    opened = _opened(without_pixels(sent) if isinstance(sent, bytes) else sent, field)
    return opened, infotext_so_far(opened)


def in_colour(image: Image) -> Image:
    """The picture in mode RGB or RGBA; 16-bit grey is reduced to its upper 8 bits."""
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")
