"""What lies under a mask before it is painted over. Source: spec images.md 5."""

from PIL import Image, ImageFilter, ImageOps

BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""(radius in pixels, how often it is laid on), farthest first."""


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture (RGB) with its masked part painted in the colours around it.

    What the mask, of the same size, keeps is blurred ever less and laid on itself, so that colours
    flow in from the border; what it keeps stays as it is.
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
