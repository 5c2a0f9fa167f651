"""Styles, against spec prompts.md sections 4.2 to 4.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.prompts.styles import (
    Style,
    StyleFileError,
    apply_styles,
    divider,
    format_styles,
    parse_styles,
    recognise_styles,
)


@pytest.fixture
def styles(prompt_vectors):
    return parse_styles(prompt_vectors["styles"]["csv"])


def test_loading_vector(prompt_vectors, styles):
    # spec prompts.md section 4.2, V:styles.loaded
    assert [
        {"name": s.name, "prompt": s.prompt, "negative_prompt": s.negative_prompt} for s in styles
    ] == prompt_vectors["styles"]["loaded"]


def test_every_apply_vector(prompt_vectors, styles):
    # spec prompts.md section 4.3, V:styles.apply
    for case in prompt_vectors["styles"]["apply"]:
        got = apply_styles(case["prompt"], case["negative_prompt"], case["styles"], styles)
        assert list(got) == case["expected"], case


def test_every_recognition_vector(prompt_vectors, styles):
    # spec prompts.md section 4.4, V:styles.extract
    for case in prompt_vectors["styles"]["extract"]:
        got = recognise_styles(case["prompt"], case["negative_prompt"], styles)
        assert {
            "styles": list(got.names),
            "prompt": got.prompt,
            "negative_prompt": got.negative_prompt,
        } == case["expected"], case


def test_old_files_have_a_text_column_and_no_negative():
    # spec prompts.md section 4.2
    assert parse_styles("\ufeffname,text\nold, some words\n") == (Style("old", "some words", ""),)


def test_of_equal_names_the_last_wins_at_the_first_place():
    # spec prompts.md section 4.2
    text = "name,prompt,negative_prompt\na,1,\nb,2,\na,3,\n"
    assert parse_styles(text) == (Style("a", "3"), Style("b", "2"))


def test_short_rows_have_empty_texts():
    assert parse_styles("name,prompt,negative_prompt\na\n\nb,x\n") == (Style("a"), Style("b", "x"))


def test_an_empty_file_has_no_styles():
    assert parse_styles("") == ()


def test_a_file_without_names_is_refused():
    with pytest.raises(StyleFileError, match="name"):
        parse_styles("title,prompt\na,b\n")


def test_divider_is_centred_in_forty_characters():
    # spec prompts.md section 4.2
    assert divider("mine") == Style("----------------- MINE -----------------", None, None)


def test_dividers_are_neither_applied_nor_recognised_nor_written():
    line = divider("mine")
    assert apply_styles("a", "b", [line.name], [line]) == ("a", "b")
    assert recognise_styles("a", "b", [line]).names == ()
    assert parse_styles(format_styles([line])) == ()


TEXT = st.text(alphabet='ab,"\n {}', max_size=12)


@given(st.dictionaries(st.text(alphabet="xyz", min_size=1, max_size=3), st.tuples(TEXT, TEXT)))
def test_files_are_read_back(table):
    styles = tuple(Style(name, *texts) for name, texts in table.items())
    assert parse_styles(format_styles(styles)) == styles
