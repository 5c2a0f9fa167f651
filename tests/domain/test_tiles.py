"""Where tiles lie (spec images.md 9.3, 9.4; vectors: 15)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.domain.tiles import even_starts, stepped_starts


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (1024, 512, 64, (0, 256, 512)),
        (1000, 512, 64, (0, 244, 488)),
        (700, 512, 64, (0, 188)),
        (300, 512, 64, (-212,)),
        (200, 512, 64, (-312,)),
        (512, 192, 8, (0, 160, 320)),
        (200, 192, 8, (0, 8)),
        (192, 192, 8, (0,)),
        (8, 192, 8, (-184,)),  # A1111 makes no tile at all of so small a picture
    ],
)
def test_even_starts(length, tile, overlap, starts):
    """Spec images.md 15, "split_grid"."""
    assert even_starts(length, tile, overlap) == starts


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (256, 256, 8, (0,)),
        (300, 256, 8, (0, 44)),
        (600, 192, 8, (0, 184, 368, 408)),
        (560, 192, 8, (0, 184, 368)),
    ],
)
def test_stepped_starts(length, tile, overlap, starts):
    """Spec images.md 9.4: every (tile - overlap), and one that ends with the picture."""
    assert stepped_starts(length, tile, overlap) == starts


def test_the_last_tile_ends_with_the_picture_whatever_rounding_does():
    """Sixteen tiles: fifteen steps of 245 / 15 pixels are less than 245 (spec images.md 9.3)."""
    assert int(15 * (245 / 15)) == 244
    assert even_starts(262, 17, 0)[-2:] == (228, 262 - 17)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_tiles_cover_everything(data):
    tile = data.draw(st.integers(1, 64))
    overlap = data.draw(st.integers(0, tile - 1))
    length = data.draw(st.integers(1, 300))
    for starts in (
        even_starts(length, tile, overlap),
        stepped_starts(max(length, tile), tile, overlap),
    ):
        covered = {p for start in starts for p in range(start, start + tile)}
        assert set(range(length)) <= covered
        assert list(starts) == sorted(starts)
