"""The benchmarks' own arithmetic."""

import pytest
from PIL import Image

from benchmarks.goldens import difference, drawn_by_lot
from benchmarks.harness import percentile


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.99, 99), (101, 0.99, 100), (10, 0.99, 10), (3, 0, 1)]
)
def test_a_percentile_is_a_value_that_occurred(count, share, expected):
    assert percentile(list(range(count, 0, -1)), share) == expected


def test_a_difference_is_the_worst_channels(tmp_path):
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "recorded.png")
    picture = Image.new("RGB", (8, 8), (10, 20, 30))
    assert difference(picture, tmp_path / "recorded.png") == 0
    picture.putpixel((7, 7), (9, 20, 33))
    assert difference(picture, tmp_path / "recorded.png") == 3
    assert difference(picture.resize((8, 16)), tmp_path / "recorded.png") == 255


@pytest.mark.parametrize(
    ("request_", "random"),
    [
        ({}, True),
        ({"seed": -1}, True),
        ({"seed": None}, True),
        ({"seed": 0}, False),
        ({"seed": 1, "subseed_strength": 0.5}, True),
        ({"seed": 1, "subseed_strength": 0.5, "subseed": 2}, False),
    ],
)
def test_pictures_of_random_seeds_are_not_compared(request_, random):
    assert drawn_by_lot(request_) is random
