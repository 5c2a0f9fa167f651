"""Bringing a picture to a size. Source: spec images.md 4."""

from PIL import Image

from hexfusion.application.pictures.picture_files import MAX_PIXELS
from hexfusion.application.pictures.upscaling import Upscale, resize
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.picture_boxes import Fit, Size, contain, cover

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
        if upscale and not _can_enlarge(image.size, size):
            raise _impossible(image.size, size, field)
        return resize(image, size, upscale)
    layout = cover(image.size, size) if mode == CROP else contain(image.size, size)
    width, height = layout.size
    if not width or not height or width * height > MAX_PIXELS:
        raise _impossible(image.size, size, field)
    resized = resize(image, layout.size, upscale)
    canvas = Image.new("RGB", size)
    canvas.paste(resized, layout.corner)
    if mode != CROP and all(layout.bar):
        _smear(canvas, resized, layout)
    return canvas


def _can_enlarge(size: Size, wanted: Size) -> bool:
    """An upscaler knows no stretching: a narrow picture becomes long before it is wide enough."""
    factor = max(wanted[0] / size[0], wanted[1] / size[1])
    return factor <= 1 or size[0] * size[1] * factor * factor <= MAX_PIXELS


def _impossible(size: Size, wanted: Size, field: str) -> InvalidRequest:
    shapes = "a picture of {}x{} cannot become {}x{} in this mode".format(*size, *wanted)
    return InvalidRequest(field, shapes)


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
