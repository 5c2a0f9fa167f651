"""What a mask picture says: white is made anew, black stays. Source: spec images.md 2."""

import struct
from collections.abc import Sequence

from PIL import Image

from hexfusion.application.pictures.picture_files import eight_bit
from hexfusion.domain.blur import FRACTION_BITS, gaussian_weights

#: Alpha above this is white, where a mask's alpha is made all or nothing.
HALF = 128
OPAQUE = 255
#: Pixels that are blurred at a time, and the bytes in which what is added up for each has room.
BAND, LANE = 2**18, 2


def read_mask(picture: Image.Image, *, all_or_nothing: bool) -> Image.Image:
    """The mask as 8-bit greys ("L") of the same size.

    The alpha of a picture that is transparent somewhere, `all_or_nothing` or as it is; else how
    light it is.
    """
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        if alpha.getextrema() != (OPAQUE, OPAQUE):
            return alpha.point(_threshold) if all_or_nothing else alpha
    return eight_bit(picture).convert("L")


def _threshold(alpha: int) -> int:
    return OPAQUE if alpha > HALF else 0


def blur(mask: Image.Image, radius_x: float, radius_y: float) -> Image.Image:
    """A Gaussian blur ("L"), first to the sides, then up and down; a radius of 0 does nothing.

    The radius is the sigma in pixels. Beyond its border the mask goes on mirrored. To the bit what
    OpenCV makes of 8-bit pictures.
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
    """Each pixel the mean of its row around it, weighed in 1/256 (symmetric), rounded.

    A row is a number with a pixel in every 16 bits, the weights another: their product holds all
    sums, of which none outgrows its 16 bits, and of each the upper half is the mean.
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
    """The mask with `margin` more columns at each side, mirrored without repeating the border's."""
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
