"""Colours of options (spec api.md 17.1), held to what draws them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from hexfusion.domain.colours import NAMES, is_colour


def test_the_names_are_those_that_pillow_draws():
    assert set(ImageColor.colormap) == NAMES


@pytest.mark.parametrize(
    "text",
    ["#fff", "#FFF8", "#102030", "#10203040", "Red", "rgb(1, 2,3)", "rgb(0%,50%,100%)",
     "hsl(360,100%,50%)", "HSV(0,0%,0%)"],
)  # fmt: skip
def test_what_css_and_pillow_know(text):
    assert is_colour(text)


@pytest.mark.parametrize(
    "text",
    ["", "#", "#12", "#12345", "#ggg", "reddish", "rgb(256,0,0)", "rgb(101%,0%,0%)", "rgb(1,2)",
     "rgb(1,2%,3)", "hsl(361,0%,0%)", "hsl(1,2,3)", "#fff\n", " red", "#" + "f" * 200, "#١٢٣"],
)  # fmt: skip
def test_what_is_none(text):
    assert not is_colour(text)


@given(st.text("#rgbhslv()0123456789af%, ", max_size=24) | st.sampled_from(sorted(NAMES)))
@example("rgb(999,0,0)")
def test_whatever_is_taken_can_be_drawn(text):
    if is_colour(text):
        Image.new("RGB", (1, 1), text)
        Image.new("RGBA", (1, 1), text)
