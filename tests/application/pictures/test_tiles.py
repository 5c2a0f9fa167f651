"""Tiles put together again (spec images.md 9.3)."""

import pytest
from PIL import Image, ImageChops

from hexfusion.application.pictures.tiles import by_tiles, ramp
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.upscalers import Tiling


def gradient(width, height):
    image = Image.new("RGB", (width, height))
    image.putdata([(x % 256, y % 256, (x + y) % 256) for y in range(height) for x in range(width)])
    return image


def enlarged(image):
    return image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST)


@pytest.mark.parametrize("size", [(64, 64), (100, 71), (130, 64), (65, 200)])
def test_what_looks_at_single_pixels_does_not_show_the_seams(size):
    whole = gradient(*size)
    assert by_tiles(whole, Tiling(64, 8), enlarged).tobytes() == enlarged(whole).tobytes()


def test_without_a_tile_size_the_picture_is_one_tile():
    sizes = []

    def work(image):
        sizes.append(image.size)
        return enlarged(image)

    assert by_tiles(gradient(50, 30), Tiling(0, 8), work).size == (150, 90)
    assert sizes == [(50, 30)]


def test_a_small_picture_lies_at_the_bottom_right_of_its_tile():
    """The tile is black elsewhere."""
    seen = []

    def work(image):
        seen.append(image)
        return image

    made = by_tiles(Image.new("RGB", (10, 20), "white"), Tiling(64, 8), work)
    (tile,) = seen
    assert tile.size == (64, 64)
    assert tile.getbbox() == (54, 44, 64, 64)
    assert made.tobytes() == Image.new("RGB", (10, 20), "white").tobytes()


def test_a_picture_a_little_narrower_than_a_tile_fades_from_black():
    """x = -3: of the ramp's 8 columns the last 5 lie on the black canvas."""
    made = by_tiles(Image.new("RGB", (61, 64), "white"), Tiling(64, 8), lambda tile: tile)
    row = [made.getpixel((x, 40))[0] for x in range(7)]
    assert row == [k * 255 // 8 for k in range(3, 8)] + [255, 255]


def test_a_tile_fades_in_over_what_lies_beneath():
    """Tiles at 0 and 36 overlap by 28, and the ramp has 8 columns all the same."""
    tiles = iter([Image.new("RGB", (64, 64), "black"), Image.new("RGB", (64, 64), "white")])
    made = by_tiles(gradient(100, 64), Tiling(64, 8), lambda tile: next(tiles))
    row = [made.getpixel((x, 0))[0] for x in range(100)]
    assert row == [0] * 36 + [k * 255 // 8 for k in range(8)] + [255] * 56


def test_rows_fade_in_likewise():
    tiles = iter([Image.new("RGB", (64, 64), "black"), Image.new("RGB", (64, 64), "white")])
    made = by_tiles(gradient(64, 100), Tiling(64, 8), lambda tile: next(tiles))
    column = [made.getpixel((0, y))[0] for y in range(100)]
    assert column == [0] * 36 + [k * 255 // 8 for k in range(8)] + [255] * 56


def test_the_ramp_rounds_down():
    assert list(ramp((32, 1), across=True).tobytes())[:4] == [0, 7, 15, 23]
    assert list(ramp((2, 3), across=False).tobytes()) == [0, 0, 85, 85, 170, 170]


def test_every_tile_is_told_and_a_stop_leaves_the_picture_as_it_was():
    heard = []

    def advance(done, of):
        heard.append((done, of))
        return Verdict.INTERRUPT if done == 3 else Verdict.CONTINUE

    image = gradient(120, 120)
    assert by_tiles(image, Tiling(64, 8), enlarged, advance) is image
    assert heard == [(1, 4), (2, 4), (3, 4)]


def test_an_interrupt_of_a_whole_picture():
    image = gradient(20, 20)
    verdict = Verdict.SKIP
    assert by_tiles(image, Tiling(0, 0), enlarged, lambda done, of: verdict) is image


def test_no_overlap_has_no_ramp():
    image = gradient(128, 128)
    made = by_tiles(image, Tiling(64, 0), lambda tile: tile)
    assert ImageChops.difference(made, image).getbbox() is None
