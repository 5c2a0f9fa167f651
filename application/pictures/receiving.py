"""The pictures that requests contain, as file bytes or as Pillow images: checked when they are
received, by their headers, and decoded when their job has its turn.

A file of 30 kB may take 200 MB once it is decoded: what waits is the file.

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
    upright_size,
)
from hexfusion.application.pictures.png_chunks import without_pixels
from hexfusion.domain.errors import InvalidRequest

Sent = bytes | Image
"""A picture in a request: the bytes of its file, or a Pillow image, which is not modified."""


class Received:
    """A picture of request field `field` that is not decoded yet. `size` is (width, height) in
    pixels, the right way up."""

    def __init__(self, sent: Sent, field: str = "image") -> None:
        """Reads the header. Raises `InvalidRequest` naming `field` if that is none of a picture,
        or tells of one that is too large or too expensive to decode."""
        self._sent, self.field = sent, field
        self.size = upright_size(_header(sent, field))

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    def decode(self) -> Image:
        """The picture the right way up, with transparency as an alpha channel; its first frame, if
        it moves. Raises `InvalidRequest` naming the field for a file that is cut short."""
        if isinstance(self._sent, bytes):
            image = decoded_picture(self._sent, self.field)
        else:
            image = decode_upright(self._sent, self.field)
        if image.size != self.size:  # what was planned would not fit it
            raise InvalidRequest(self.field, "Invalid encoded image")
        return image

    def decode_with_texts(self) -> Image:
        """`decode`, with the text metadata in `info`, the infotext under `parameters`, and nothing
        else there."""
        opened, infotext = open_with_infotext(self._sent, self.field)
        texts = texts_of(opened)
        image = self.decode()
        image.info.clear()
        image.info.update(texts)
        if infotext is not None:
            image.info["parameters"] = infotext
        return image


Source = Received | Image
"""A picture that is decoded yet or not."""


def decoded(source: Source) -> Image:
    """The picture itself. Raises as `Received.decode`."""
    return source.decode() if isinstance(source, Received) else source


def receive_all(sent: Sequence[Sent], field: str) -> list[Received]:
    """Read the headers of all pictures of `field`. Raises as `Received` does."""
    return [Received(each, field) for each in sent]


def receive(sent: Sent, field: str = "image") -> Image:
    """Decode one picture at once; see `Received.decode_with_texts`."""
    return Received(sent, field).decode_with_texts()


def _header(sent: Sent, field: str) -> Image:
    if isinstance(sent, bytes):
        return open_picture(without_pixels(sent), field)
    if not 0 < sent.width * sent.height <= MAX_PIXELS:
        size = f"{sent.width}x{sent.height}"
        raise InvalidRequest(field, f"a picture may have 1 to {MAX_PIXELS} pixels, not {size}")
    try:
        sent.load()  # the memory is the caller's own
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise InvalidRequest(field, "Invalid encoded image") from error
    return sent


def open_with_infotext(sent: Sent, field: str = "image") -> tuple[Image, str | None]:
    """(the picture with its metadata read but not decoded, its infotext or None).

    Raises `InvalidRequest` naming `field`.
    """
    opened = _header(sent, field)
    return opened, infotext_so_far(opened)


def in_colour(image: Image) -> Image:
    """The picture in mode RGB or RGBA; 16-bit grey is reduced to its upper 8 bits."""
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")
