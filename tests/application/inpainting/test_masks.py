"""Masks as greys, and their blur (spec images.md 2)."""

import json

import pytest
from PIL import Image

from hexfusion.application.inpainting.masks import blur, read_mask


@pytest.fixture(scope="module")
def vectors(golden):
    """Made with OpenCV."""
    return json.loads((golden / "picture_vectors.json").read_text())


def rows(image):
    width = image.width
    values = list(image.tobytes())
    return [values[start : start + width] for start in range(0, len(values), width)]


def grey(values):
    image = Image.new("L", (len(values[0]), len(values)))
    image.putdata([value for row in values for value in row])
    return image


@pytest.mark.parametrize("number", range(5))
def test_the_blur_is_opencvs_to_the_bit(vectors, number):
    mask, case = grey(vectors["mask"]), vectors["blurs"][number]
    radius = case["radius"]
    assert rows(blur(mask, radius, 0)) == case["across"]
    assert rows(blur(mask, radius, radius)) == case["both"]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_a_small_mask_is_mirrored_more_than_once(size):
    assert set(blur(Image.new("L", size, 77), 8, 8).tobytes()) == {77}


def test_no_radius_no_blur():
    mask = Image.effect_noise((8, 8), 50)
    assert blur(mask, 0, -3).tobytes() == mask.tobytes()


def test_alpha_counts_where_there_is_any():
    see_through = Image.new("RGBA", (2, 1), (0, 0, 0, 255))
    see_through.putpixel((1, 0), (255, 255, 255, 128))
    assert rows(read_mask(see_through, all_or_nothing=True)) == [[255, 0]]
    assert rows(read_mask(see_through, all_or_nothing=False)) == [[255, 128]]


def test_otherwise_how_light_it_is():
    opaque = Image.new("RGBA", (1, 1), (255, 0, 0, 255))
    assert rows(read_mask(opaque, all_or_nothing=True)) == [[76]]
    for mode in ("1", "L", "RGB", "P", "LA", "CMYK", "I;16", "F"):
        assert read_mask(Image.new(mode, (3, 2)), all_or_nothing=True).mode == "L"


@pytest.mark.parametrize("pixels", [1, 40, 200])
def test_the_blur_is_the_same_in_bands_of_any_size(vectors, pixels, monkeypatch):
    mask = grey(vectors["mask"])
    whole = blur(mask, 4, 4).tobytes()
    monkeypatch.setattr("hexfusion.application.inpainting.masks.BAND", pixels)
    assert blur(mask, 4, 4).tobytes() == whole
