"""Arranges pictures in a grid. Source: spec images.md 13.1."""

from collections.abc import Sequence

from PIL import Image, ImageColor

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.geometry import grid_shape
from hexfusion.domain.options import Options

BACKGROUND = "#ffffff"
"""Default background colour of a grid."""


def image_grid(
    pictures: Sequence[Image.Image],
    shape: tuple[int, int] | None = None,
    background: str = BACKGROUND,
) -> Image.Image:
    """A grid (RGB) of one or more pictures, row by row, each centred in its cell.

    `shape` is (rows, columns), roughly square if None. A cell has the largest width and the largest
    height of the pictures. `background` is a colour that `background_colour` takes.
    """
    rows, columns = shape or grid_shape(len(pictures))
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    grid = Image.new("RGB", (columns * width, rows * height), background)
    for index, picture in enumerate(pictures):
        left = index % columns * width + (width - picture.width) // 2
        top = index // columns * height + (height - picture.height) // 2
        grid.paste(picture, (left, top))
    return grid


def grid_by_options(
    pictures: Sequence[Image.Image], batch_size: int, options: Options
) -> Image.Image:
    """A grid with rows and background colour according to the options.

    Raises InvalidRequest as `background_colour` does.
    """
    shape = grid_shape(
        len(pictures),
        batch_size=batch_size,
        n_rows=options.integer("n_rows"),
        prevent_empty_spots=options.flag("grid_prevent_empty_spots"),
    )
    return image_grid(pictures, shape, background_colour(options))


def background_colour(options: Options) -> str:
    """The option `grid_background_color`. Raises InvalidRequest if that is no colour."""
    colour = options.text("grid_background_color")
    try:
        ImageColor.getrgb(colour)
    except ValueError as error:
        raise InvalidRequest("grid_background_color", f"{colour!r} is no colour") from error
    return colour
