"""Resizes a picture by one of the resize modes of img2img. Source: spec images.md 4."""

from PIL import Image

from hexfusion.application.pictures.picture_files import MAX_PIXELS
from hexfusion.application.pictures.upscaling import Upscale, resize
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.picture_boxes import Fit, Size, contain, cover

STRETCH, CROP, FILL, LATENT = range(4)
"""Values of `resize_mode`. For LATENT the backend stretches the latent; where a picture or mask
must be resized before that, LATENT counts as FILL."""


def fit(
    image: Image.Image,
    size: Size,
    mode: int,
    upscale: Upscale | None = None,
    field: str = "init_images",
) -> Image.Image:
    """Resize a picture to `size`, (width, height) in pixels, in resize mode `mode`.

    `upscale`, if given, makes enlargements; the rest is Lanczos. The result is RGB; STRETCH keeps
    the mode of the picture. Raises `InvalidRequest` naming `field` if an intermediate picture would
    have no pixels or more than MAX_PIXELS, and what `upscale` raises.
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
    """Whether upscaling stays within MAX_PIXELS: an upscaler keeps the aspect ratio, so a narrow
    picture becomes very long before it is wide enough."""
    factor = max(wanted[0] / size[0], wanted[1] / size[1])
    return factor <= 1 or size[0] * size[1] * factor * factor <= MAX_PIXELS


def _impossible(size: Size, wanted: Size, field: str) -> InvalidRequest:
    shapes = "a picture of {}x{} cannot become {}x{} in this mode".format(*size, *wanted)
    return InvalidRequest(field, shapes)


def _smear(canvas: Image.Image, picture: Image.Image, layout: Fit) -> None:
    """Fill both bars by stretching the picture's outermost rows or columns."""
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
