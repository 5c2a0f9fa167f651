"""Converts between RGB and CIE L*a*b*, 8 bits per channel, bit for bit as OpenCV does.

L* is scaled to 0..255, a* and b* are offset by 128. Source: spec images.md 7.3; the method is
OpenCV's for 8-bit pictures: lookup tables for the curves, fixed-point matrices between them.
"""

import math
import operator
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from PIL import Image, ImageMath

#: CIE 1931 XYZ of sRGB's primaries, the way back, and white D65.
TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
FROM_XYZ = (
    (3.240479, -1.53715, -0.498535),
    (-0.969256, 1.875991, 0.041556),
    (0.055648, -0.204043, 1.057311),
)
WHITE = (0.950456, 1.0, 1.088754)

MATRIX_BITS = 12
LINEAR = 255 * 8  # linear light from 0 to this, a little more where a channel is over white's
CURVE_BITS = 15  # of the cube root's result
INVERSE_BITS = 14  # of everything on the way back
GAMMA_BITS = 12  # of linear light before it becomes a byte

Table = Sequence[int]


def to_lab(image: Image.Image) -> Image.Image:
    """RGB to L*a*b*, both as three channels of 8 bits. Mode "RGB" again: Pillow's own differs."""
    linear = [band.point(_linear(), "I") for band in image.split()]
    f = [
        _looked_up(_mixed(linear, _weights(value / white for value in row), MATRIX_BITS), _curve())
        for row, white in zip(TO_XYZ, WHITE, strict=True)
    ]
    one = 1 << CURVE_BITS
    bands = (
        _mixed(f, (0, 296, 0), CURVE_BITS, -((16 * 255 * one + 50) // 100)),
        _mixed(f, (500, -500, 0), CURVE_BITS, 128 * one),
        _mixed(f, (0, 200, -200), CURVE_BITS, 128 * one),
    )
    return Image.merge("RGB", [band.convert("L") for band in bands])  # which clips


def from_lab(image: Image.Image) -> Image.Image:
    """The inverse of `to_lab`: L*a*b* to RGB."""
    base = 1 << INVERSE_BITS
    lightness, a, b = image.split()
    y, f_of_y = (lightness.point(table, "I") for table in _lightness())
    # Divisions, rounded as OpenCV's multiplications do it.
    more = a.point([((5 * v * 53687 + 128) >> 13) - 128 * base // 500 for v in range(256)], "I")
    less = b.point([((v * 41943 + 16) >> 9) - 128 * base // 200 + 1 for v in range(256)], "I")
    lowest, cubes = _cubes()
    x = _looked_up(_mixed((f_of_y, more), (1, 1), 0, -lowest), cubes)
    z = _looked_up(_mixed((f_of_y, less), (1, -1), 0, -lowest), cubes)
    bits = MATRIX_BITS + INVERSE_BITS - GAMMA_BITS
    bands = [_mixed((x, y, z), _weights(map(operator.mul, row, WHITE)), bits) for row in FROM_XYZ]
    return Image.merge("RGB", [_within(band).point(_gamma(), "L") for band in bands])


def _weights(values: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(value * (1 << MATRIX_BITS)) for value in values)


def _mixed(
    images: Sequence[Image.Image], weights: Sequence[int], bits: int, offset: int = 0
) -> Image.Image:
    """The weighted sum of "I" pictures and the offset, divided by 2^bits and rounded."""

    def formula(it: Mapping[str, Any]) -> Any:
        total = sum((it[name] * weight for name, weight in zip(given, weights, strict=True)), start)
        return total >> bits if bits else total

    given = {str(number): image for number, image in enumerate(images)}
    start = offset + (1 << bits >> 1)
    return ImageMath.lambda_eval(formula, **given)


def _within(image: Image.Image) -> Image.Image:
    """Clamped to the domain of `_gamma`."""
    return ImageMath.lambda_eval(
        lambda it: it["min"](it["max"](it["light"], 0), (1 << GAMMA_BITS) - 1), light=image
    )


def _looked_up(image: Image.Image, table: Table) -> Image.Image:
    """The table's entry for each pixel ("I", 0 to 65535); entries may be negative.

    Pillow's lookup tables yield bytes, so three lookups give a byte of the entry each.
    """
    low = min(table)
    filled = [*(value - low for value in table), *([0] * (65536 - len(table)))]
    parts = {
        f"byte{shift}": image.point([value >> shift & 255 for value in filled], "L").convert("I")
        for shift in (0, 8, 16)
    }
    return ImageMath.lambda_eval(
        lambda it: it["byte0"] + it["byte8"] * 256 + it["byte16"] * 65536 + low, **parts
    )


@cache
def _linear() -> Table:
    """sRGB bytes to linear light."""
    return [round(LINEAR * _to_linear(value / 255)) for value in range(256)]


def _to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


@cache
def _gamma() -> Table:
    """Linear light to sRGB bytes. Pillow wants room for 16 bits."""
    steps = 1 << GAMMA_BITS
    found = [round(255 * _from_linear(value / steps)) for value in range(steps)]
    return [*found, *([255] * (65536 - steps))]


def _from_linear(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


@cache
def _curve() -> Table:
    """Linear light to CIE's f: a cube root, straight near black."""
    values = (value / LINEAR for value in range(256 * 3 // 2 * 8))
    return [round((1 << CURVE_BITS) * _f(value)) for value in values]


def _f(value: float) -> float:
    if value < 216 / 24389:
        return value * 841 / 108 + 16 / 116
    return _cut_to_single(_single(value) ** (1 / 3))


def _single(value: float) -> float:
    """Rounded to single precision."""
    return struct.unpack("f", struct.pack("f", value))[0]


def _cut_to_single(value: float) -> float:
    """Truncated to the 24 bits of single precision: two entries of the table depend on it."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(math.floor(mantissa * (1 << 24)), exponent - 24)


@cache
def _lightness() -> tuple[Table, Table]:
    """L* as a byte to (Y, f of Y)."""
    base = 1 << INVERSE_BITS
    found = []
    for value in range(256):
        if value <= 20:
            y = value * base * 180 / (17 * 24389)
            f = base * (16 / 116 + value * 5 / (3 * 17 * 29))
        else:
            f = value * 100 * base / (255 * 116) + 16 * base / 116
            y = f**3 / base / base
        found.append((round(y), round(f)))
    return [y for y, _ in found], [f for _, f in found]


@cache
def _cubes() -> tuple[int, Table]:
    """f to X or Z: the first f of the table, and the table."""
    base, lowest = 1 << INVERSE_BITS, -8145
    black = base * 16 // 116 * 108 // 841
    return lowest, [
        int(f * 108 / 841) - black if f <= 3390 else f * f // base * f // base
        for f in range(lowest, base * 9 // 4 + lowest)
    ]
