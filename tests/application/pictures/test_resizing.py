"""The resize modes (spec images.md 4 and 15)."""

import pytest
from PIL import Image

from hexfusion.application.pictures.resizing import CROP, FILL, LATENT, STRETCH, _can_enlarge, fit
from hexfusion.domain.errors import InvalidRequest


@pytest.fixture
def gradient():
    image = Image.new("RGB", (100, 60))
    image.putdata([(x, 4 * y, 0) for y in range(60) for x in range(100)])
    return image


@pytest.mark.parametrize(
    ("mode", "size", "pixels"),
    [
        (STRETCH, (64, 64), {(0, 0): (0, 0, 0), (63, 63): (99, 236, 0), (5, 10): (8, 37, 0)}),
        (CROP, (64, 64), {(0, 0): (20, 0, 0), (63, 0): (79, 0, 0), (5, 10): (25, 37, 0)}),
        (FILL, (64, 64), {(63, 63): (99, 236, 0), (32, 12): (50, 0, 0), (32, 13): (50, 1, 0)}),
        (FILL, (64, 64), {(32, 50): (50, 235, 0), (32, 51): (50, 236, 0)}),
        (FILL, (128, 40), {(30, 20): (0, 121, 0), (64, 20): (50, 121, 0), (97, 20): (99, 121, 0)}),
        (LATENT, (64, 64), {(63, 63): (99, 236, 0), (32, 12): (50, 0, 0)}),
    ],
)
def test_vectors(gradient, mode, size, pixels):
    image = fit(gradient, size, mode)
    assert image.size == size
    assert {place: image.getpixel(place) for place in pixels} == pixels


def test_only_stretching_keeps_the_mode():
    grey = Image.new("L", (10, 20))
    assert [fit(grey, (16, 16), mode).mode for mode in (STRETCH, CROP, FILL)] == ["L", "RGB", "RGB"]


def test_an_enlargement_asks_the_upscaler_and_a_reduction_does_not(gradient):
    asked = []

    def upscale(image, factor):
        asked.append(factor)
        return image

    fit(gradient, (200, 120), STRETCH, upscale)
    fit(gradient, (50, 30), STRETCH, upscale)
    assert asked == [2]


@pytest.mark.parametrize(
    ("mode", "size"), [(CROP, (20_000, 1)), (FILL, (20_000, 1)), (FILL, (1, 20_000))]
)
def test_a_picture_too_narrow_is_refused(mode, size):
    """To cover 512 x 512 it would need five billion pixels; contained, it would have none."""
    with pytest.raises(InvalidRequest) as refused:
        fit(Image.new("RGB", size), (512, 512), mode)
    assert refused.value.field == "init_images"


@pytest.mark.parametrize("size", [(1, 20_000), (65_000, 1)])
def test_no_upscaler_is_asked_to_make_a_narrow_picture_wide(size):
    """It would be made as long as it is wide; without one it is stretched at once."""

    def upscale(image, factor):
        raise AssertionError(f"{image.size} times {factor}")

    narrow = Image.new("RGB", size)
    assert fit(narrow, (64, 64), STRETCH).size == (64, 64)
    for mode in (STRETCH, CROP, FILL):
        with pytest.raises(InvalidRequest) as caught:
            fit(narrow, (64, 64), mode, upscale)
        assert caught.value.field == "init_images"


@pytest.mark.parametrize(
    ("size", "wanted", "can"),
    [
        ((1024, 1024), (8192, 8192), True),  # 8192 * 8192 pixels exactly
        ((1024, 1024), (8200, 8192), False),
        ((100, 12_000), (800, 12_000), False),  # eight times as long before it is wide enough
        ((10_000, 10_000), (10_000, 9_000), True),  # nothing is enlarged
    ],
)
def test_an_enlargement_has_a_bound_and_a_reduction_has_none(size, wanted, can):
    """Spec images.md 4 and 9.2; the bound is ours."""
    assert _can_enlarge(size, wanted) == can
