"""Bringing a picture to a size. Source: spec images.md 4."""

from PIL import Image

from application.pictures import MAX_PIXELS
from application.upscaling import Upscale, resize
from domain.errors import InvalidRequest
from domain.regions import Fit, Size, contain, cover

STRETCH, CROP, FILL, LATENT = range(4)
"""Resize modes. A latent is stretched by the backend; what must be resized before, is filled."""


def fit(
    image: Image.Image,
    size: Size,
    mode: int,
    upscale: Upscale | None = None,
    field: str = "init_images",
) -> Image.Image:
    """The picture at `size`, pixels, in any mode; an enlargement begins with `upscale`, if given.

    RGB, except that STRETCH keeps the picture's mode. Raises `InvalidRequest` naming `field` for
    a picture so narrow that nothing would be left of it, or that would have to become huge, and
    what `upscale` raises.
    """
    if mode == STRETCH:
        return resize(image, size, upscale)
    layout = cover(image.size, size) if mode == CROP else contain(image.size, size)
    width, height = layout.size
    if not width or not height or width * height > MAX_PIXELS:
        shape, wanted = ("{}x{}".format(*each) for each in (image.size, size))
        raise InvalidRequest(field, f"a picture of {shape} cannot become {wanted} in this mode")
    resized = resize(image, layout.size, upscale)
    canvas = Image.new("RGB", size)
    canvas.paste(resized, layout.corner)
    if mode != CROP and all(layout.bar):
        _smear(canvas, resized, layout)
    return canvas


def _smear(canvas: Image.Image, picture: Image.Image, layout: Fit) -> None:
    """Fill both bars with the picture's outermost rows or columns, drawn out."""
    width, height = picture.size
    beside = layout.bar[1] == canvas.height and layout.bar[0] != canvas.width
    if beside:
        edges = (0, 0, 0, height), (width, 0, width, height)
        corners = (0, 0), (layout.bar[0] + width, 0)
    else:
        edges = (0, 0, width, 0), (0, height, width, height)
        corners = (0, 0), (0, layout.bar[1] + height)
    for edge, corner in zip(edges, corners, strict=True):
        canvas.paste(picture.resize(layout.bar, box=edge), corner)
