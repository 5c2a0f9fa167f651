"""Resizing, warping and blurring in the arithmetic of OpenCV 4, which spec images.md 11 names.

OpenCV reckons 8-bit pictures in integers, with weights in fractions of powers of two; so does this,
to the bit (docs/adr/0014). Arrays are (height, width, channels).
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

#: Places are told in 1024ths of a pixel, and used in 32nds.
_PLACE_BITS, _STEP_BITS = 10, 5
_STEPS = 1 << _STEP_BITS
#: Weights of Lanczos, in 2048ths.
_WEIGHT_BITS = 11
_TAPS = 8


@dataclass(frozen=True)
class Area:
    """Pixels from (left, top) to before (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.left >= self.right or self.top >= self.bottom

    def within(self, width: int, height: int) -> "Area":
        """What of it a picture of that size has."""
        return Area(
            max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height)
        )

    def around(self, other: "Area") -> "Area":
        """The least that holds both."""
        return Area(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def seen_from(self, other: "Area") -> "Area":
        """The same, told from the first pixel of `other`."""
        x, y = other.left, other.top
        return Area(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def of(self, array: Array) -> Array:
        """Those pixels."""
        return array[self.top : self.bottom, self.left : self.right]


def mapped_area(way: Similarity, area: Area, margin: int = 2) -> Area:
    """Where `way` takes the pixels of an area, and a margin around it."""
    corners = [way(complex(x, y)) for x in (area.left, area.right) for y in (area.top, area.bottom)]
    xs, ys = [each.real for each in corners], [each.imag for each in corners]
    return Area(
        floor(min(xs)) - margin,
        floor(min(ys)) - margin,
        ceil(max(xs)) + margin,
        ceil(max(ys)) + margin,
    )


def warped(source: Array, way: Similarity, area: Area, border: Sequence[int]) -> Array:
    """The values of `source` where `way` puts each pixel of `area`: bilinear, `border` outside.

    Of bytes, bytes; else in double precision.
    """
    whole = source.dtype == np.uint8
    needed = mapped_area(way, area).within(source.shape[1], source.shape[0])
    x, y = _places(way, area)
    # Two pixels of border on every side: whatever lies further out sees nothing but border.
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
    """x and y in 32nds of a pixel, rounded as OpenCV does: by row, and by column."""
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
    """Bytes resized with eight taps each way, however much smaller (OpenCV's INTER_LANCZOS4)."""
    levels = _resized_along(picture.astype(np.int32), 1, width)
    levels = _resized_along(levels, 0, height)
    half = 1 << (2 * _WEIGHT_BITS - 1)
    return np.clip((levels + half) >> (2 * _WEIGHT_BITS), 0, 255).astype(np.uint8)


def _resized_along(levels: Array, axis: int, size: int) -> Array:
    """Still multiplied by the sum of the weights."""
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
    """A mask (512, 512) in double precision, blurred twice by 101 pixels with a deviation of 11."""
    blur = _twice_blurred(mask.shape[0])
    return blur @ mask @ blur.T


@cache
def _twice_blurred(side: int, taps: int = 101, deviation: float = 11.0) -> Array:
    """The blur of a column as a matrix: borders are mirrored, without the outermost pixel twice."""
    away = np.arange(taps) - taps // 2
    weights = np.exp(-(away**2) / (2 * deviation**2))
    weights /= weights.sum()
    rows = np.arange(side)[:, None]
    seen = np.abs(rows + away)
    seen = np.where(seen > side - 1, 2 * (side - 1) - seen, seen)
    blur = np.zeros((side, side))
    np.add.at(blur, (np.broadcast_to(rows, seen.shape), seen), weights)
    return blur @ blur
