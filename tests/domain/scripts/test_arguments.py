"""Spec scripts.md 1 and 3, api.md 8: arguments by position."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.infotext import parse_infotext, write_infotext
from hexfusion.domain.options import Options
from hexfusion.domain.scripts import arguments_from_infotext, form_of, infotext_of, read_arguments
from hexfusion.domain.scripts.arguments import (
    Arguments,
    Choice,
    Note,
    NumberBox,
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
    on: Annotated[bool, Switch("On", infotext="It is on")] = False
    size: Annotated[int, Whole("Size", 0, 64, 8, 128, infotext="It size")] = 8
    share: Annotated[float, Slider("Share", 0.0, 1.0, 0.1, infotext="It share")] = 0.5
    text: Annotated[str, Text("Words")] = ""
    curve: Annotated[str, Choice("Curve", ("Linear", "Lazy"), infotext="It curve")] = "Linear"
    content: Annotated[str, Choice("Content", ("fill", "noise"), numbered=True)] = "fill"
    sides: Annotated[tuple[str, ...], Several("Sides", SIDES)] = SIDES
    seed: Annotated[int, NumberBox("Seed", infotext="It seed")] = -1
    network: Annotated[str | None, Choice("Network", among="networks")] = None


GOOD = ["", True, 16, 0.25, "hello", "Lazy", 1, ["right", "left"], 7, "any"]


def test_positions_become_fields():
    read = read_arguments(Every, "It", GOOD)
    assert read == Every("", True, 16, 0.25, "hello", "Lazy", "noise", SIDES, 7, "any")


def test_what_is_over_is_passed_over():
    """Recording scripts/t2i_args_long."""
    assert read_arguments(Every, "It", [*GOOD, 1, 2, 3]) == read_arguments(Every, "It", GOOD)


def test_too_few_are_told_with_what_is_missing():
    """Recordings scripts/t2i_args_short and t2i_args_none, which A1111 answers with 500."""
    with pytest.raises(InvalidRequest, match=r"It takes 10: .*Size, Share.*; 2 came") as refused:
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
        (8, 1.5, "a whole number"),
        (8, True, "a whole number"),
        (8, "1", "a whole number"),
        (8, float("nan"), "a whole number"),
        (8, float("inf"), "a whole number"),
        (9, 1, "one of networks"),
    ],
)
def test_what_is_wrong_is_named(at, value, said):
    given = [*GOOD[:at], value, *GOOD[at + 1 :]]
    with pytest.raises(InvalidRequest, match=said):
        read_arguments(Every, "It", given)


@pytest.mark.parametrize(
    ("at", "value", "read"),
    [
        (1, None, False),
        (1, 1, True),
        (2, 16.0, 16),
        (2, 128, 128),
        (6, "NOISE", "noise"),
        (8, 9.0, 9),
    ],
)
def test_what_means_the_same_is_taken(at, value, read):
    given = [*GOOD[:at], value, *GOOD[at + 1 :]]
    assert getattr(read_arguments(Every, "It", given), Every.__struct_fields__[at]) == read


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=11))
def test_anything_is_read_or_refused(given):
    try:
        read_arguments(Every, "It", given)
    except InvalidRequest as error:
        assert error.field == "script_args"


def test_the_form_is_the_struct():
    labels = [each.label for each in form_of(Every, {})]
    assert labels[:8] == ["", "On", "Size", "Share", "Words", "Curve", "Content", "Sides"]
    assert labels[8:] == ["Seed", "Network"]
    size = form_of(Every, {})[2]
    assert (size.value, size.minimum, size.maximum, size.step) == (8, 0, 64, 8)  # not 128
    seed = form_of(Every, {})[8]
    assert (seed.value, seed.minimum, seed.maximum, seed.step) == (-1, None, None, 1)


def test_a_choice_offers_what_the_server_knows():
    """Where it has no default, the first is one."""
    network = form_of(Every, {"networks": ["A", "B"]})[9]
    assert (network.value, network.choices) == ("A", ("A", "B"))
    nothing = form_of(Every, {"networks": []})[9]
    assert (nothing.value, nothing.choices) == (None, ())


def test_a_list_may_be_short_where_it_says_what_is_missing():
    """Spec api.md 8: always-on scripts."""
    missing = Every(size=16, share=0.75)
    read = read_arguments(Every, "It", ["", True], field="alwayson_scripts", missing=missing)
    assert read == Every(on=True, size=16, share=0.75, note="")
    with pytest.raises(InvalidRequest) as refused:
        read_arguments(Every, "It", ["", 1, "x"], field="alwayson_scripts", missing=missing)
    assert refused.value.field == "alwayson_scripts"


def test_infotext_tells_what_has_a_label():
    told = infotext_of(Every(on=True, size=16, text="secret"))
    assert list(told.items()) == [
        ("It is on", True), ("It size", 16), ("It share", 0.5), ("It curve", "Linear"),
        ("It seed", -1),
    ]  # fmt: skip


@given(
    st.booleans(),
    st.integers(0, 128),
    st.floats(0, 1),
    st.sampled_from(["Linear", "Lazy"]),
    st.integers(-(2**63), 2**63),
)
def test_what_infotext_tells_is_read_again(on, size, share, curve, seed):
    """Spec api.md 10, the last lines."""
    every = Every(on=on, size=size, share=share, curve=curve, seed=seed)
    written = write_infotext("a cat", "", {"Steps": 1, "Seed": 1, **infotext_of(every)})
    told = parse_infotext(written, Options())
    assert arguments_from_infotext(Every, told) == every


def test_infotext_without_the_labels_leaves_the_defaults():
    assert arguments_from_infotext(Every, {"Steps": "4", "": "x"}) == Every()


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("It size", "many", "It size: 'many' is not a number"),
        ("It size", "129", "from 0 to 128"),
        ("It size", "1.5", "a whole number"),
        ("It share", "nan", "from 0.0 to 1.0"),
        ("It curve", "Straight", "one of Linear, Lazy"),
        ("It seed", "inf", "a whole number"),
    ],
)
def test_what_infotext_cannot_mean_is_named(label, text, said):
    with pytest.raises(InvalidRequest, match=said) as refused:
        arguments_from_infotext(Every, {label: text})
    assert refused.value.field == "infotext"


def test_a_choice_goes_by_number_or_name():
    assert [chosen(each, ["None", "Lanczos"]) for each in (1, 1.0, "lanczos")] == ["Lanczos"] * 3
