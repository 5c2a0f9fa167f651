"""Resizing, warping and blurring with the exact results of OpenCV 4 (spec images.md 11).

OpenCV computes 8-bit pictures in fixed-point integers; this does the same, to the bit
(docs/adr/0014). Arrays are (height, width, channels).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexfusion.adapters.gpu.torch_backend.faces.alignment import Similarity

Array = NDArray[Any]

#: Bits of a coordinate's fraction: computed in 1024ths of a pixel, rounded to 32nds.
_PLACE_BITS, _STEP_BITS = 10, 5
_STEPS = 1 << _STEP_BITS
#: Lanczos weights are in 2048ths.
_WEIGHT_BITS = 11
_TAPS = 8


@dataclass(frozen=True)
class Area:
    """A rectangle of pixels, from (left, top) up to but excluding (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.left >= self.right or self.top >= self.bottom

    def within(self, width: int, height: int) -> "Area":
        """The part of it inside a picture of that size."""
        return Area(
            max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height)
        )

    def around(self, other: "Area") -> "Area":
        """The smallest area that contains both."""
        return Area(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def seen_from(self, other: "Area") -> "Area":
        """This area relative to the top left pixel of `other`."""
        x, y = other.left, other.top
        return Area(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def of(self, array: Array) -> Array:
        """The area's pixels in `array`, as a view."""
        return array[self.top : self.bottom, self.left : self.right]


def mapped_area(way: Similarity, area: Area, margin: int = 2) -> Area:
    """The area that `way` maps the pixels of `area` to, with a margin of so many pixels."""
    corners = [way(complex(x, y)) for x in (area.left, area.right) for y in (area.top, area.bottom)]
    xs, ys = [each.real for each in corners], [each.imag for each in corners]
    return Area(
        floor(min(xs)) - margin,
        floor(min(ys)) - margin,
        ceil(max(xs)) + margin,
        ceil(max(ys)) + margin,
    )


def warped(source: Array, way: Similarity, area: Area, border: Sequence[int]) -> Array:
    """The pixels of `area`, each read from `source` at the point that `way` maps it to.

    Bilinear, with `border` outside of the source. Bytes for a source of bytes, else float64.
    """
    whole = source.dtype == np.uint8
    needed = mapped_area(way, area).within(source.shape[1], source.shape[0])
    x, y = _places(way, area)
    # Two pixels of border on every side: points further out get the border's colour only.
    depth = source.shape[2]
    framed = np.empty(
        (max(needed.bottom - needed.top, 0) + 4, max(needed.right - needed.left, 0) + 4, depth),
        np.int32 if whole else np.float64,
    )
    framed[:] = border
    if not needed.empty:
        framed[2:-2, 2:-2] = needed.of(source)
    column = np.clip((x >> _STEP_BITS) - needed.left + 2, 0, framed.shape[1] - 2)
    row = np.clip((y >> _STEP_BITS) - needed.top + 2, 0, framed.shape[0] - 2)
    right, down = (x & (_STEPS - 1))[..., None], (y & (_STEPS - 1))[..., None]
    upper = (_STEPS - right) * framed[row, column] + right * framed[row, column + 1]
    lower = (_STEPS - right) * framed[row + 1, column] + right * framed[row + 1, column + 1]
    total = (_STEPS - down) * upper + down * lower
    if whole:
        return ((total + (_STEPS * _STEPS // 2)) >> (2 * _STEP_BITS)).astype(np.uint8)
    return total / (_STEPS * _STEPS)


def _places(way: Similarity, area: Area) -> tuple[Array, Array]:
    """x and y of each pixel in 32nds of a pixel, rounded as OpenCV does."""
    columns = np.arange(area.left, area.right)
    rows = np.arange(area.top, area.bottom)
    scale = 1 << _PLACE_BITS
    a, b, shift = way.turn.real, way.turn.imag, way.shift
    drop = _PLACE_BITS - _STEP_BITS
    half = 1 << (drop - 1)

    def along(by_column: float, by_row: float, start: float) -> Array:
        right = np.rint(by_column * columns * scale).astype(np.int64)
        down = np.rint((by_row * rows + start) * scale).astype(np.int64)
        return (right[None, :] + down[:, None] + half) >> drop

    return along(a, -b, shift.real), along(b, a, shift.imag)


def lanczos(picture: Array, width: int, height: int) -> Array:
    """A picture of bytes resized as by OpenCV's INTER_LANCZOS4, which does not antialias."""
    levels = _resized_along(picture.astype(np.int32), 1, width)
    levels = _resized_along(levels, 0, height)
    half = 1 << (2 * _WEIGHT_BITS - 1)
    return np.clip((levels + half) >> (2 * _WEIGHT_BITS), 0, 255).astype(np.uint8)


def _resized_along(levels: Array, axis: int, size: int) -> Array:
    """Resize one axis; the result is still multiplied by the sum of the weights, 2048."""
    given = levels.shape[axis]
    middle = ((np.arange(size) + 0.5) * (given / size) - 0.5).astype(np.float32)
    first = np.floor(middle).astype(np.int64) - (_TAPS // 2 - 1)
    away = (middle - first.astype(np.float32)).astype(np.float64)[:, None] - np.arange(_TAPS)
    weights = np.sinc(away) * np.sinc(away / (_TAPS // 2))
    weights = np.rint(weights / weights.sum(1, keepdims=True) * (1 << _WEIGHT_BITS))
    total: Array | None = None
    for tap in range(_TAPS):
        taken = levels.take(np.clip(first + tap, 0, given - 1), axis)
        weight = weights[:, tap].astype(np.int32)
        taken *= weight[None, :, None] if axis else weight[:, None, None]
        total = taken if total is None else np.add(total, taken, out=total)
    assert total is not None
    return total


def blurred_mask(mask: Array) -> Array:
    """A square mask in float64, blurred twice with a Gaussian of 101 taps and sigma 11."""
    blur = _twice_blurred(mask.shape[0])
    return blur @ mask @ blur.T


@cache
def _twice_blurred(side: int, taps: int = 101, deviation: float = 11.0) -> Array:
    """Two blurs of a column as a (side, side) matrix; the border is reflected at the edge pixel."""
    away = np.arange(taps) - taps // 2
    weights = np.exp(-(away**2) / (2 * deviation**2))
    weights /= weights.sum()
    rows = np.arange(side)[:, None]
    seen = np.abs(rows + away)
    seen = np.where(seen > side - 1, 2 * (side - 1) - seen, seen)
    blur = np.zeros((side, side))
    np.add.at(blur, (np.broadcast_to(rows, seen.shape), seen), weights)
    return blur @ blur
