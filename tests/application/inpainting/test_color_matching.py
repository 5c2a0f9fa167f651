"""Colours of one picture, light of another (spec images.md 7.3)."""

import json

import pytest
from PIL import Image, ImageChops

from hexfusion.application.inpainting.color_matching import (
    colour_histograms,
    match_colours,
    matching_table,
    with_light_of,
)
from hexfusion.application.inpainting.lab_color import from_lab, to_lab


@pytest.fixture(scope="module")
def vectors(golden):
    """Made with OpenCV and scikit-image."""
    return json.loads((golden / "picture_vectors.json").read_text())


def strip(colours):
    image = Image.new("RGB", (len(colours), 1))
    image.putdata([tuple(each) for each in colours])
    return image


def listed(image):
    data = image.tobytes()
    return [list(data[start : start + 3]) for start in range(0, len(data), 3)]


def test_lab_is_opencvs_to_the_bit(vectors):
    colours = strip(vectors["colours"])
    assert listed(to_lab(colours)) == vectors["lab"]
    assert listed(from_lab(colours)) == vectors["rgb"]


def test_histograms_are_matched_as_scikit_image_does(vectors):
    case = vectors["histograms"]
    table = matching_table(case["have"], case["wanted"])
    assert [[value, table[value]] for value, _ in case["table"]] == case["table"]


def test_matching_a_picture_with_itself_leaves_it(shared):
    picture = Image.open(shared / "golden/inputs/init128.png").convert("RGB")
    matched = match_colours(picture, colour_histograms(picture))
    off = ImageChops.difference(matched, picture).tobytes()
    assert sum(off) / len(off) < 1  # a byte of L*a*b* is worth up to 16 of RGB


def test_the_recorded_picture_from_the_recorded_one_without(shared):
    """Recordings img2img/colorcorr and d075, which differ in the option alone."""
    folder = shared / "golden"
    colours = colour_histograms(Image.open(folder / "inputs/init128.png").convert("RGB"))
    plain = Image.open(folder / "img2img/d075_0.png").convert("RGB")
    theirs = Image.open(folder / "img2img/colorcorr_0.png").convert("RGB")
    assert max(ImageChops.difference(match_colours(plain, colours), theirs).tobytes()) <= 1


def test_light_stays_within_the_range_of_colours():
    blue, white = Image.new("RGB", (1, 1), (0, 0, 255)), Image.new("RGB", (1, 1), (255, 255, 255))
    assert listed(with_light_of(blue, white)) == [[255, 255, 255]]
    assert listed(with_light_of(white, blue)) == [[29, 29, 29]]
