"""Enlarging without networks, and the loop around those that do (spec images.md 4, 9.2)."""

import pytest
from PIL import Image

from hexfusion.application.pictures.upscaling import PlainUpscaler, resize, upscale, upscale_by
from tests.contracts.upscaler import SMALL, UpscalerContract, photo


class TestPlainUpscaler(UpscalerContract):
    @pytest.fixture
    def upscaler(self) -> PlainUpscaler:
        return PlainUpscaler()


def rounds(image: Image.Image, factor: float, scale: int) -> list[tuple[int, int]]:
    """The sizes that a network of that scale was given."""
    seen = []

    def enlarge(image: Image.Image, factor: float) -> Image.Image:
        seen.append(image.size)
        return image.resize((image.width * scale, image.height * scale))

    upscale(image, factor, enlarge)
    return seen


@pytest.mark.parametrize(
    ("factor", "scale", "sizes"),
    [
        (4, 4, [(16, 8)]),
        (1, 4, [(16, 8)]),  # once even so
        (0.5, 4, []),
        (8, 4, [(16, 8), (64, 32)]),
        (100, 2, [(16, 8), (32, 16), (64, 32)]),  # never more than three rounds
        (2, 1, [(16, 8)]),  # a network that keeps the size runs once
    ],
)
def test_how_often_a_network_runs(factor, scale, sizes):
    """Spec images.md 9.2, its consequences."""
    assert rounds(photo(16, 8), factor, scale) == sizes


def test_lanczos_goes_by_way_of_the_exact_size():
    """Spec images.md 9.2: to int(w * scale), then to the multiple of 8."""
    picture = photo(33, 21)
    by_way = picture.resize((49, 31), Image.Resampling.LANCZOS)
    expected = by_way.resize((48, 24), Image.Resampling.LANCZOS)
    made = PlainUpscaler().upscale(picture, 1.5, "Lanczos", SMALL)
    assert made.tobytes() == expected.tobytes()


def test_none_is_lanczos_at_once():
    picture = photo(33, 21)
    expected = picture.resize((48, 24), Image.Resampling.LANCZOS)
    assert PlainUpscaler().upscale(picture, 1.5, "None", SMALL).tobytes() == expected.tobytes()


def test_resize_enlarges_with_the_upscaler_and_shrinks_without():
    """Spec images.md 4, mode 0."""
    nearest = upscale_by(PlainUpscaler(), "Nearest", SMALL)
    larger = resize(photo(16, 16), (32, 32), nearest)
    assert larger.tobytes() == photo(16, 16).resize((32, 32), Image.Resampling.NEAREST).tobytes()
    smaller = resize(photo(16, 16), (8, 8), nearest)
    assert smaller.tobytes() == photo(16, 16).resize((8, 8), Image.Resampling.LANCZOS).tobytes()


def test_resize_leaves_masks_to_lanczos():
    """Spec images.md 4: mode "L" is never given to an upscaler."""
    nearest = upscale_by(PlainUpscaler(), "Nearest", SMALL)
    mask = photo(16, 16, "L")
    expected = mask.resize((32, 32), Image.Resampling.LANCZOS)
    assert resize(mask, (32, 32), nearest).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["", "None"])
def test_no_upscaler_is_none(name):
    assert upscale_by(PlainUpscaler(), name, SMALL) is None


@pytest.mark.parametrize(("size", "factor"), [((48, 16), 3), ((16, 48), 3), ((24, 40), 2.5)])
def test_resize_asks_the_upscaler_for_the_larger_of_both_factors(size, factor):
    """Spec images.md 4: what is too much at one side is stretched back."""
    asked: list[float] = []

    def upscale(image: Image.Image, by: float) -> Image.Image:
        asked.append(by)
        return image.resize((round(image.width * by), round(image.height * by)))

    assert resize(photo(16, 16), size, upscale).size == size
    assert asked == [factor]
