"""Composites a repainted picture with the original it was made from.

Source: spec images.md 7.1 and 7.2.
"""

from PIL import Image

from hexfusion.application.inpainting.masked_content import kept_part
from hexfusion.application.pictures.resizing import CROP, FILL, fit
from hexfusion.application.pictures.upscaling import Upscale
from hexfusion.domain.picture_boxes import Box


def overlay_of(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The part of the picture that the mask (same size) keeps: RGBA, transparent where it is
    white."""
    return kept_part(image, mask).convert("RGBA")


def placed(
    picture: Image.Image, size: tuple[int, int], place: Box, upscale: Upscale | None = None
) -> Image.Image:
    """The picture resized into box `place` of a transparent picture (RGBA) of `size`, in pixels."""
    left, top, right, bottom = place
    whole = Image.new("RGBA", size)
    whole.paste(fit(picture, (right - left, bottom - top), CROP, upscale), (left, top))
    return whole


def under(picture: Image.Image, overlay: Image.Image) -> Image.Image:
    """The picture with the overlay composited on it at the top left corner: RGB."""
    covered = picture.convert("RGBA")
    covered.alpha_composite(overlay)
    return covered.convert("RGB")


def masked_part(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture where the mask, of any size, is white; transparent where it is black: RGBA."""
    premultiplied = picture.convert("RGBA").convert("RGBa")
    shape = fit(mask, picture.size, FILL, field="mask").convert("L")
    return Image.composite(premultiplied, Image.new("RGBa", picture.size), shape).convert("RGBA")
