"""Sizes of hires fix (spec sampling.md 6.4). Oracle: [V:hires_size]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.geometry import CELL, hires_size
from tests.golden.sampling_vectors import section


@pytest.mark.parametrize("case", section("hires_size"), ids=str)
def test_every_vector(case: dict) -> None:
    got = hires_size(
        case["width"],
        case["height"],
        case["hr_scale"],
        case["hr_resize_x"],
        case["hr_resize_y"],
        old=case["old"],
    )
    assert list(got.first) == case["first_pass"]
    assert list(got.target) == case["upscale_to"]
    assert list(got.crop) == case["truncate"]
    cells = [side // CELL for side in got.target]
    assert cells == case["latent_before_crop"]
    left = [side - cut for side, cut in zip(cells, got.crop, strict=True)]
    assert left == case["latent_after_crop"]
    for axis, side, cut in zip("xy", cells, got.crop, strict=True):
        assert [cut // 2, side - (cut + 1) // 2] == case[f"crop_{axis}"]


SIDES = st.integers(8, 256).map(lambda cells: cells * CELL)


@given(SIDES, SIDES, SIDES, SIDES)
def test_both_sides_given_are_covered_and_cropped_to(w: int, h: int, x: int, y: int) -> None:
    """One side fits exactly, the other is at least as long, but for the division's rounding."""
    got = hires_size(w, h, 2.0, x, y)
    assert got.first == (w, h)
    assert got.target[0] == x or got.target[1] == y
    assert got.target[0] >= x - 1 and got.target[1] >= y - 1
    cells = [side // CELL - cut for side, cut in zip(got.target, got.crop, strict=True)]
    assert abs(cells[0] * CELL - x) <= CELL and abs(cells[1] * CELL - y) <= CELL
