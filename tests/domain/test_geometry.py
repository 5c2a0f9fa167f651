"""Grids (spec images.md 13.1)."""

import pytest

from hexfusion.domain.geometry import grid_shape


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (4, (2, 2)), (5, (2, 3)), (6, (2, 3)), (7, (3, 3)),
     (10, (3, 4)), (12, (3, 4))],
)  # fmt: skip
def test_about_square(count, shape):
    assert grid_shape(count) == shape


@pytest.mark.parametrize(("count", "shape"), [(3, (1, 3)), (6, (2, 3)), (8, (2, 4)), (12, (3, 4))])
def test_without_gaps(count, shape):
    assert grid_shape(count, prevent_empty_spots=True) == shape


def test_rows_by_option():
    assert grid_shape(5, n_rows=2) == (2, 3)
    assert grid_shape(6, n_rows=0, batch_size=3) == (3, 2)
    assert grid_shape(2, n_rows=9) == (2, 1)
