"""Grids (spec images.md 13.1)."""

import PIL.Image
import pytest

from hexfusion.application.pictures.grids import grid_by_options, image_grid
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import Options


def plain(colour: str, size: tuple[int, int] = (2, 2)) -> PIL.Image.Image:
    return PIL.Image.new("RGB", size, colour)


def shape(grid: PIL.Image.Image) -> tuple[int, int]:
    return grid.height // 2, grid.width // 2


@pytest.mark.parametrize("name", ["batch2", "grid_off"])
def test_the_recorded_grid(shared, name):
    grid, *pictures = (
        PIL.Image.open(shared / "golden" / "save" / f"{name}_{index}.png") for index in range(3)
    )
    assert image_grid(pictures).tobytes() == grid.tobytes()


def test_pictures_stand_row_by_row_and_centred():
    grid = image_grid([plain("red"), plain("green", (4, 2)), plain("blue", (2, 6))])
    assert (grid.mode, grid.size) == ("RGB", (8, 12))
    red, green, blue, white = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
    assert [grid.getpixel((x, 2)) for x in range(8)] == [
        white, red, red, white, green, green, green, green
    ]  # fmt: skip
    assert [grid.getpixel((1, y)) for y in range(12)] == [white] * 2 + [red] * 2 + [white] * 2 + [
        blue
    ] * 6
    assert grid.getpixel((5, 9)) == white


def test_transparent_and_grey_pictures_become_rgb():
    grid = image_grid([PIL.Image.new("L", (2, 2), 7), PIL.Image.new("RGBA", (2, 2), "#01020304")])
    assert grid.getpixel((0, 0)) == (7, 7, 7)
    assert grid.getpixel((2, 0)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("options", "batch_size", "expected"),
    [
        ({}, 1, (2, 3)),
        ({"n_rows": 4}, 1, (4, 2)),
        ({"n_rows": 0}, 3, (3, 2)),
        ({"grid_prevent_empty_spots": True}, 1, (1, 5)),
    ],
)
def test_options_decide_the_shape(options, batch_size, expected):
    """Four rows of two for five pictures leave a row empty, as in A1111."""
    grid = grid_by_options([plain("red")] * 5, batch_size, Options(options))
    assert shape(grid) == expected


def test_an_option_decides_the_colour():
    options = Options({"n_rows": 2, "grid_background_color": "#102030"})
    grid = grid_by_options([plain("red")] * 3, 1, options)
    assert grid.getpixel((3, 3)) == (16, 32, 48)
    with pytest.raises(OptionError, match="grid_background_color"):
        Options({"grid_background_color": "reddish"})
