"""Arranges pictures in a grid. Source: spec images.md 13.1."""

from collections.abc import Sequence

from PIL import Image

from hexfusion.application.pictures.kept import Fetched
from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.geometry import grid_shape
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_boxes import Size


class GridTooLarge(HexfusionError):
    """A grid would be larger than a picture may be. A job then leaves it out, and says so."""

    def __init__(self, size: Size) -> None:
        super().__init__(f"a grid of {size[0]}x{size[1]} is left out: too large (--picture-pixels)")


BACKGROUND = "#ffffff"
"""Default background colour of a grid."""


def image_grid(
    pictures: Sequence[Image.Image],
    shape: tuple[int, int] | None = None,
    background: str = BACKGROUND,
    limits: JobLimits = DEFAULT_LIMITS,
) -> Image.Image:
    """A grid (RGB) of one or more pictures, row by row, each centred in its cell.

    `shape` is (rows, columns), roughly square if None. A cell has the largest width and the largest
    height of the pictures. `background` is a CSS colour. Pictures that are `Fetched` are in memory
    one at a time.

    Raises `GridTooLarge` if the grid is larger than a picture may be.
    """
    rows, columns = shape or grid_shape(len(pictures))
    width, height = cell_size(pictures)
    size = (columns * width, rows * height)
    if not limits.allows(size):
        raise GridTooLarge(size)
    grid = Image.new("RGB", size, background)
    for index, picture in enumerate(pictures):
        left = index % columns * width + (width - picture.width) // 2
        top = index // columns * height + (height - picture.height) // 2
        grid.paste(picture, (left, top))
    return grid


def cell_size(pictures: Sequence[Image.Image]) -> Size:
    """The largest width and the largest height of one or more pictures, in pixels."""
    if isinstance(pictures, Fetched):
        return pictures.cell
    return max(each.width for each in pictures), max(each.height for each in pictures)


def grid_by_options(
    pictures: Sequence[Image.Image],
    batch_size: int,
    options: Options,
    limits: JobLimits = DEFAULT_LIMITS,
) -> Image.Image:
    """A grid with rows and background colour according to the options. Raises `GridTooLarge`."""
    shape = grid_shape(
        len(pictures),
        batch_size=batch_size,
        n_rows=options.integer("n_rows"),
        prevent_empty_spots=options.flag("grid_prevent_empty_spots"),
    )
    return image_grid(pictures, shape, options.text("grid_background_color"), limits)
