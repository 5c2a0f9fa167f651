"""Fills the masked part of a picture before it is encoded. Source: spec images.md 5."""

from PIL import Image, ImageFilter, ImageOps

BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""(blur radius in pixels, number of times composited), largest first."""


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture (RGB) with its masked part filled with the colours around it.

    The unmasked part is blurred with decreasing radii and composited, so that its colours extend
    under the mask; the unmasked part itself does not change. `mask` has the picture's size.
    """
    kept = kept_part(image, mask)
    filled = Image.new("RGBA", image.size)
    for radius, times in BLURS:
        blurred = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            filled.alpha_composite(blurred)
    return filled.convert("RGB")


def kept_part(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture where the mask is black, transparent where it is white: premultiplied "RGBa"."""
    kept = Image.new("RGBa", image.size)
    opaque = image.convert("RGBA").convert("RGBa")
    kept.paste(opaque, mask=ImageOps.invert(mask.convert("L")))
    return kept
