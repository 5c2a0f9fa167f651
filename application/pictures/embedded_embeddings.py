"""Reads textual-inversion embeddings out of pictures: from a text chunk, or from side strips.

Source: spec prompts.md 7.5.
"""

import base64
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO

from PIL import Image, ImageChops, UnidentifiedImageError

#: Longest JSON inside a picture, in bytes, after decompression.
_MOST = 64_000_000
_PIXELS = 67_108_864
#: What Pillow, base64 and JSON raise for damaged data.
_DAMAGED = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    RecursionError,
    SyntaxError,
    zlib.error,
)


def embedded_in(file: IO[bytes], tensor: Callable[[object], object]) -> object:
    """The embedding file in a picture, with `tensor(nested lists)` for each tensor; None if there
    is none.

    Raises ValueError for data that is damaged, or a file that is no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(file)
        if picture.width * picture.height > _PIXELS:
            return None
        chunk = getattr(picture, "text", {}).get("sd-ti-embedding")
        text = base64.b64decode(chunk) if chunk is not None else _from_strips(picture)
        return None if text is None else _read(text, tensor)
    except _DAMAGED as error:
        raise ValueError(f"holds no embedding: {error}") from error


def _read(text: bytes, tensor: Callable[[object], object]) -> object:
    def revive(value: dict[str, object]) -> object:
        return tensor(value["TORCHTENSOR"]) if "TORCHTENSOR" in value else value

    return json.loads(text, object_hook=revive)


def _from_strips(picture: Image.Image) -> bytes | None:
    """Data in the low four bits of the strips left of the first and right of the last empty
    column."""
    colours = picture.convert("RGB")
    lit = _all_channels(colours)
    inside = lit.getbbox()
    if inside is None:
        return None
    low = colours.crop(inside).point(lambda level: level & 15)
    columns, _ = _any_channel(low).getprojection()
    empty = [x for x, used in enumerate(columns) if not used]
    if len(empty) < 2:
        return None
    left = low.crop((0, 0, empty[0], low.height))
    right = low.crop((empty[-1] + 1, 0, low.width, low.height))
    nibbles = zip(_plain(left), _plain(right), strict=False)
    data = bytes(after << 4 | before for before, after in nibbles)
    try:
        return zlib.decompressobj().decompress(data, _MOST) or None
    except zlib.error:
        return None  # an ordinary picture


def _all_channels(picture: Image.Image) -> Image.Image:
    """White where no channel is 0."""
    red, green, blue = (band.point(lambda level: 255 if level else 0) for band in picture.split())
    return _darker(_darker(red, green), blue)


def _any_channel(picture: Image.Image) -> Image.Image:
    """Not 0 where any channel is not 0."""
    red, green, blue = picture.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _darker(first: Image.Image, second: Image.Image) -> Image.Image:
    return ImageChops.darker(first, second)


def _plain(block: Image.Image) -> bytes:
    """The bytes of a block, XORed with the pseudo-random sequence, which restarts for each
    block."""
    hidden = block.tobytes()
    return bytes(a ^ b for a, b in zip(hidden, islice(_disguise(), len(hidden)), strict=True))


def _disguise() -> Iterator[int]:
    """Low nibbles of a linear congruential generator (Numerical Recipes' constants)."""
    state = 0
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state % 255 & 15
