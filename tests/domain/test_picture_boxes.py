"""Layout of pictures of other sizes, and the box around a mask (spec images.md 3, 4 and 15)."""

import pytest

from hexfusion.domain.picture_boxes import contain, cover, padded, widened


@pytest.mark.parametrize(
    ("box", "working", "bounds", "expected"),
    [
        ((100, 100, 228, 132), (512, 512), (512, 512), (100, 52, 228, 180)),
        ((0, 0, 50, 400), (512, 512), (512, 512), (0, 0, 400, 400)),
        ((10, 300, 500, 380), (512, 768), (640, 480), (10, 0, 500, 480)),
        ((300, 10, 380, 500), (768, 512), (640, 480), (0, 10, 640, 500)),
        ((600, 440, 640, 480), (512, 256), (640, 480), (560, 440, 640, 480)),
        ((100, 100, 201, 150), (512, 512), (1000, 1000), (100, 75, 201, 176)),
    ],
)
def test_a_box_takes_the_working_shape(box, working, bounds, expected):
    assert widened(box, working, bounds) == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [(0, (100, 100, 200, 150)), (32, (68, 68, 232, 182)), (150, (0, 0, 350, 300))],
)
def test_padding_stops_at_the_border(padding, expected):
    assert padded((100, 100, 200, 150), padding, (640, 480)) == expected


@pytest.mark.parametrize("layout", [cover, contain])
@pytest.mark.parametrize("picture", [(640, 480), (480, 640), (99, 7), (512, 512)])
@pytest.mark.parametrize("canvas", [(512, 512), (768, 256), (8, 512)])
def test_a_picture_covers_its_canvas_or_is_contained_in_it(layout, picture, canvas):
    fit = layout(picture, canvas)
    fits = [side <= room for side, room in zip(fit.size, canvas, strict=True)]
    exact = [side == room for side, room in zip(fit.size, canvas, strict=True)]
    assert any(exact)
    if layout is contain:
        assert all(fits)
    else:
        assert all(not fitting or same for fitting, same in zip(fits, exact, strict=True))


def test_bars_are_where_something_is_missing():
    assert contain((100, 60), (64, 64)).bar == (64, 13)
    assert contain((100, 60), (128, 40)).bar == (31, 40)
    assert contain((64, 64), (128, 128)).bar == (0, 0)
