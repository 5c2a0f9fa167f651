"""Reads and blurs mask pictures: white is repainted, black is kept. Source: spec images.md 2."""

import struct
from collections.abc import Sequence

from PIL import Image

from hexfusion.application.pictures.picture_files import eight_bit
from hexfusion.domain.blur import FRACTION_BITS, gaussian_weights

#: Threshold of alpha for masks that are rounded to black and white.
HALF = 128
OPAQUE = 255
#: Pixels blurred at a time, and bytes for the weighted sum of each pixel.
BAND, LANE = 2**18, 2


def read_mask(picture: Image.Image, *, all_or_nothing: bool) -> Image.Image:
    """The mask as 8-bit grey ("L") of the same size.

    If the picture has transparency, its alpha channel, with `all_or_nothing` rounded to 0 or 255;
    otherwise its luminosity.
    """
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        if alpha.getextrema() != (OPAQUE, OPAQUE):
            return alpha.point(_threshold) if all_or_nothing else alpha
    return eight_bit(picture).convert("L")


def _threshold(alpha: int) -> int:
    return OPAQUE if alpha > HALF else 0


def blur(mask: Image.Image, radius_x: float, radius_y: float) -> Image.Image:
    """Gaussian blur of a mask ("L"), horizontally, then vertically; a radius of 0 does nothing.

    The radius is the sigma in pixels. The mask is mirrored beyond its border. Bit for bit the
    result of OpenCV for 8-bit pictures.
    """
    if radius_x > 0:
        mask = _blurred(mask, radius_x, across=True)
    if radius_y > 0:
        mask = _blurred(mask, radius_y, across=False)
    return mask


def _blurred(mask: Image.Image, radius: float, *, across: bool) -> Image.Image:
    if not across:
        return _turned(_blurred(_turned(mask), radius, across=True))
    if mask.width == 1:
        return mask  # mirrored, it has no neighbour but itself
    weights, blurred = gaussian_weights(radius), Image.new("L", mask.size)
    rows = max(1, BAND // mask.width)
    for top in range(0, mask.height, rows):
        band = mask.crop((0, top, mask.width, min(top + rows, mask.height)))
        blurred.paste(_weighted_rows(band, weights), (0, top))
    return blurred


def _weighted_rows(mask: Image.Image, weights: Sequence[int]) -> Image.Image:
    """Each row convolved with symmetric weights in units of 1/256, rounded.

    A row is one large integer with a pixel in every 16 bits, the weights are another: their product
    contains the weighted sums, none of which exceeds 16 bits; the upper byte of each is the result.
    """
    width, reach = mask.width, len(weights) // 2
    wide = _mirrored(mask, reach)
    spread, length = wide.convert("I;16").tobytes(), LANE * wide.width
    kernel = int.from_bytes(struct.pack(f"<{len(weights)}H", *weights), "little")
    half = int.from_bytes(struct.pack("<H", 1 << (FRACTION_BITS - 1)) * width, "little")
    means = bytearray()
    for at in range(0, len(spread), length):
        sums = int.from_bytes(spread[at : at + length], "little") * kernel
        rounded = (sums >> (8 * LANE * 2 * reach)) + half
        means += rounded.to_bytes(length, "little")[1 : LANE * width : LANE]
    return Image.frombytes("L", mask.size, bytes(means))


def _turned(mask: Image.Image) -> Image.Image:
    return mask.transpose(Image.Transpose.TRANSPOSE)


def _mirrored(mask: Image.Image, margin: int) -> Image.Image:
    """The mask with `margin` more columns at each side, mirrored at the border column."""
    width, height = mask.size
    period = max(2 * width - 2, 1)
    there_and_back = Image.new("L", (period, height))
    back = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    there_and_back.paste(back, (width - 1, 0))
    there_and_back.paste(mask, (0, 0))
    wide = Image.new("L", (width + 2 * margin, height))
    for left in range(margin % period - period, wide.width, period):
        wide.paste(there_and_back, (left, 0))
    return wide
