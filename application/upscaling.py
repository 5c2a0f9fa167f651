"""Enlarging pictures without a network. Source: spec images.md 4 (mode 0) and 9.2."""

from collections.abc import Callable

from PIL import Image

from domain.errors import NotFound
from domain.geometry import CELL

ROUNDS = 3
"""A 4x network reaches 64 times; no one asks for more."""

Enlarge = Callable[[Image.Image, float], Image.Image]
"""One round: (picture, wanted factor) -> a picture enlarged, by whatever factor it does."""


def _lanczos(image: Image.Image, factor: float) -> Image.Image:
    return _resized(image, factor, Image.Resampling.LANCZOS)


def _nearest(image: Image.Image, factor: float) -> Image.Image:
    return _resized(image, factor, Image.Resampling.NEAREST)


def _unchanged(image: Image.Image, factor: float) -> Image.Image:
    return image


def _resized(image: Image.Image, factor: float, filter: Image.Resampling) -> Image.Image:
    return image.resize((int(image.width * factor), int(image.height * factor)), filter)


PLAIN = {"None": _unchanged, "Lanczos": _lanczos, "Nearest": _nearest}
"""What enlarges without weights, by the names of `domain.upscalers.IMAGE_UPSCALERS`."""


def upscale(image: Image.Image, factor: float, enlarge: Enlarge) -> Image.Image:
    """`factor` times as large, each side rounded down to a multiple of 8.

    A round that did not reach the target is followed by another, up to three; what then differs
    is made up for by Lanczos.
    """
    target = (int(image.width * factor // CELL * CELL), int(image.height * factor // CELL * CELL))
    for number in range(ROUNDS):
        reached = image.width >= target[0] and image.height >= target[1]
        if reached and (number or factor != 1):
            break
        before = image.size
        image = enlarge(image, factor)
        if image.size == before:
            break
    return _fitted(image, target)


def resize(image: Image.Image, size: tuple[int, int], upscaler: str = "None") -> Image.Image:
    """The picture stretched to `size`, pixels; an enlargement begins with the upscaler.

    Raises `NotFound("upscaler", name)`.
    """
    if upscaler not in PLAIN:
        raise NotFound("upscaler", upscaler)
    factor = max(size[0] / image.width, size[1] / image.height)
    if upscaler != "None" and factor > 1 and image.mode != "L":
        image = upscale(image, factor, PLAIN[upscaler])
    return _fitted(image, size)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
