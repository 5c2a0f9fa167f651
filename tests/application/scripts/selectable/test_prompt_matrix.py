"""Prompt matrix (spec scripts.md 6), on the fake backend.

Its answers: tests/test_script_recordings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hexfusion.adapters.storage.fonts import open_font
from hexfusion.application.pictures.captions import Caption, caption_style, captioned
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.options import Options
from hexfusion.domain.scripts.prompt_matrix import combinations, parts_of
from tests.application.scripts.scripted import made, names, of_picture, of_text
from tests.application.worlds import world


def matrix(*arguments, kind=of_text, **fields):
    given = [False, False, "positive", "comma", 0]
    given[: len(arguments)] = arguments
    return kind("prompt matrix", *given, **{"prompt": "a cat|red, | big", **fields})


def test_every_choice_of_parts_is_a_prompt():
    result = made(matrix())
    assert result.info.all_prompts == ["a cat", "a cat, red", "a cat, big", "a cat, red, big"]
    assert result.info.all_seeds == [7] * 4
    assert (result.info.index_of_first_image, len(result.pictures)) == (1, 5)
    assert result.info.infotexts[0] == result.info.infotexts[1] != result.info.infotexts[2]


def test_the_parts_may_come_first_and_without_commas():
    result = made(matrix(True, True, "negative", "space", negative_prompt="ugly |old|", prompt="x"))
    assert result.info.all_negative_prompts == ["ugly ", "old ugly ", " ugly ", "old  ugly "]
    assert result.info.all_prompts == ["x"] * 4
    assert result.info.all_seeds == [7, 8, 9, 10]


def test_a_last_batch_may_be_short():
    for kind in (of_text, of_picture):
        result = made(matrix(kind=kind, batch_size=3))
        assert len(result.pictures) == 5
        alone = made(matrix(kind=kind)).pictures[-1].image
        assert result.pictures[-1].image.tobytes() == alone.tobytes()


def test_the_grid_has_margins_and_is_saved_whatever_the_request_says():
    result = made(matrix(False, False, "positive", "comma", 10))
    grid = result.pictures[0].image
    assert grid.size == (64 * 2 + 48 + 10, 64 * 2 + 10 + (grid.height - 138))
    assert names(result) == ["prompt_matrix-0000-7.png"]
    result = made(matrix(save_images=True, override_settings={"grid_save": False}))
    assert len(names(result)) == 4  # pictures, and no grid of generation's own


def test_more_parts_than_pictures_may_be_are_refused():
    with pytest.raises(InvalidRequest, match="may have 9 parts") as refused:
        world().txt2img.prepare(matrix(prompt="|".join("abcdefghijkl")))
    assert refused.value.field == "prompt"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"font": "/etc/passwd"}, "font"),
        ({"font": "/nowhere.ttf"}, "font"),
    ],
)
def test_what_cannot_be_followed_is_named(options, field):
    with pytest.raises(InvalidRequest) as refused:
        caption_style(Options(options), open_font)
    assert refused.value.field == field


@given(st.text("ab|, ", max_size=12), st.booleans(), st.sampled_from(["comma", "space"]))
def test_there_are_as_many_prompts_as_choices(prompt, at_start, joined_by):
    parts = parts_of(prompt)
    prompts = combinations(parts, at_start=at_start, joined_by=joined_by)
    assert len(prompts) == 2 ** prompt.count("|")
    assert prompts[0] == parts[0]


def test_captions_wrap_and_shrink():
    """Spec images.md 13.2."""
    letters = caption_style(Options({"grid_background_color": "#ff0000"}), open_font)
    grid = Image.new("RGB", (200, 100))
    words = [[Caption("many words that do not fit")], [Caption("Unbreakablelongword", holds=False)]]
    plain = captioned(grid, (100, 100), words, [[]], letters)
    assert (plain.width, plain.getpixel((0, 0))) == (200, (255, 0, 0))
    one = captioned(grid, (100, 100), [[Caption("many")], [Caption("x")]], [[]], letters)
    assert plain.height > one.height > 100  # three lines, not one
    beside = captioned(grid, (100, 100), [[], []], [[Caption("row")]], letters, margin=6)
    assert beside.size == (200 + 75 + 6, 100)
    assert captioned(grid, (100, 100), [[], []], [[]], letters).size == (200, 100)
