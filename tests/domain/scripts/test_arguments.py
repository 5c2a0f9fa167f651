"""Spec scripts.md 1 and 3, api.md 8: arguments by position."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.scripts import form_of, read_arguments
from hexfusion.domain.scripts.arguments import (
    Arguments,
    Choice,
    Note,
    Several,
    Slider,
    Switch,
    Text,
    Whole,
    chosen,
)

SIDES = ("left", "right")


class Every(Arguments, frozen=True):
    note: Annotated[object, Note()] = "<p>read me</p>"
    on: Annotated[bool, Switch("On")] = False
    size: Annotated[int, Whole("Size", 0, 64, 8, 128)] = 8
    share: Annotated[float, Slider("Share", 0.0, 1.0, 0.1)] = 0.5
    text: Annotated[str, Text("Words")] = ""
    curve: Annotated[str, Choice("Curve", ("Linear", "Lazy"))] = "Linear"
    content: Annotated[str, Choice("Content", ("fill", "noise"), numbered=True)] = "fill"
    sides: Annotated[tuple[str, ...], Several("Sides", SIDES)] = SIDES


GOOD = ["", True, 16, 0.25, "hello", "Lazy", 1, ["right", "left"]]


def test_positions_become_fields():
    read = read_arguments(Every, "It", GOOD)
    assert read == Every("", True, 16, 0.25, "hello", "Lazy", "noise", SIDES)


def test_what_is_over_is_passed_over():
    """Recording scripts/t2i_args_long."""
    assert read_arguments(Every, "It", [*GOOD, 1, 2, 3]) == read_arguments(Every, "It", GOOD)


def test_too_few_are_told_with_what_is_missing():
    """Recordings scripts/t2i_args_short and t2i_args_none, which A1111 answers with 500."""
    with pytest.raises(InvalidRequest, match=r"It takes 8: .*Size, Share.*; 2 came") as refused:
        read_arguments(Every, "It", GOOD[:2])
    assert refused.value.field == "script_args"


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (1, "yes", r"\[1\] On must be true or false"),
        (2, 1.5, r"\[2\] Size must be a whole number"),
        (2, True, "a number"),
        (2, 129, "from 0 to 128"),
        (2, float("inf"), "from 0 to 128"),
        (2, float("nan"), "from 0 to 128"),
        (3, "0.5", "a number"),
        (3, -0.1, "from 0.0 to 1.0"),
        (3, None, "a number"),
        (4, None, "a text"),
        (5, "lazy", "one of Linear, Lazy"),
        (5, ["Lazy"], "one of"),
        (6, 2, "from 0 to 1"),
        (6, -1, "from 0 to 1"),
        (6, 0.5, "from 0 to 1"),
        (6, True, "a number of the list"),
        (6, "nope", "one of fill, noise"),
        (7, "left", "a list of left, right"),
        (7, ["up"], "a list of"),
        (7, [["left"]], "a list of"),
    ],
)
def test_what_is_wrong_is_named(at, value, said):
    given = [*GOOD[:at], value, *GOOD[at + 1 :]]
    with pytest.raises(InvalidRequest, match=said):
        read_arguments(Every, "It", given)


@pytest.mark.parametrize(
    ("at", "value", "read"),
    [(1, None, False), (1, 1, True), (2, 16.0, 16), (2, 128, 128), (6, "NOISE", "noise")],
)
def test_what_means_the_same_is_taken(at, value, read):
    given = [*GOOD[:at], value, *GOOD[at + 1 :]]
    assert getattr(read_arguments(Every, "It", given), Every.__struct_fields__[at]) == read


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=9))
def test_anything_is_read_or_refused(given):
    try:
        read_arguments(Every, "It", given)
    except InvalidRequest as error:
        assert error.field == "script_args"


def test_the_form_is_the_struct():
    labels = [each.label for each in form_of(Every, {})]
    assert labels == ["", "On", "Size", "Share", "Words", "Curve", "Content", "Sides"]
    size = form_of(Every, {})[2]
    assert (size.value, size.minimum, size.maximum, size.step) == (8, 0, 64, 8)  # not 128
    assert form_of(Every, {"curve": ["A", "B"]})[5].choices == ("A", "B")


def test_a_choice_goes_by_number_or_name():
    assert [chosen(each, ["None", "Lanczos"]) for each in (1, 1.0, "lanczos")] == ["Lanczos"] * 3
