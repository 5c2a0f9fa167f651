"""What a mask picture says: white is made anew, black stays. Source: spec images.md 2."""

from PIL import Image, ImageMath

from application.pictures import eight_bit
from domain.blur import FRACTION_BITS, gaussian_weights

#: Alpha above this is white, where a mask's alpha is made all or nothing.
HALF = 128
OPAQUE = 255


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
    weights = gaussian_weights(radius)
    middle = len(weights) // 2
    if not across:
        return _turned(_blurred(_turned(mask), radius, across=True))
    wide = _mirrored(mask, middle)
    width, height = mask.size

    def weighted(left: int, weight: int) -> Image.Image:
        part = wide.crop((left, 0, left + width, height))
        return part.point([value * weight for value in range(256)], "I")

    total = Image.new("I", mask.size, 1 << (FRACTION_BITS - 1))
    for left, weight in enumerate(weights):
        if weight:
            total = ImageMath.lambda_eval(
                lambda it: it["total"] + it["part"], total=total, part=weighted(left, weight)
            )
    return ImageMath.lambda_eval(lambda it: it["total"] >> FRACTION_BITS, total=total).convert("L")


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
