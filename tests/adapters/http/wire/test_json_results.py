"""Replies are JSON, whatever library their values come from (issue 12, item 14)."""

import json
from enum import StrEnum
from fractions import Fraction
from typing import Any

import msgspec
import numpy
import pytest
from PIL.PngImagePlugin import iTXt
from PIL.TiffImagePlugin import IFDRational

from hexfusion.adapters.http.wire.json_results import info_text, to_json
from hexfusion.domain.generation import Txt2Img
from tests.adapters.http.conftest import info_of


class Answer(msgspec.Struct):
    value: Any


class Text(str):
    pass


class Whole(int):
    pass


class Colour(StrEnum):
    RED = "red"


VALUES = [
    (iTXt("ž", "cs", "k"), "ž"),
    (Text("a"), "a"),
    (Whole(2), 2),
    (Colour.RED, "red"),
    (IFDRational(1, 2), 0.5),
    (Fraction(1, 4), 0.25),
    (numpy.float32(0.5), 0.5),
    (numpy.int64(2**40), 2**40),
    (numpy.bool_(True), True),
    (numpy.arange(3), [0, 1, 2]),
    (float("nan"), None),
    ("a\ud800", "a?"),
    ({Whole(1): Text("x")}, {"1": "x"}),
    ((Whole(1), [iTXt("q")]), [1, ["q"]]),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: type(value).__name__)
def test_values_of_libraries_in_a_reply(value, expected):
    assert json.loads(to_json(Answer({"k": value}))) == {"value": {"k": expected}}


def test_what_json_cannot_say_is_an_error():
    with pytest.raises(TypeError, match=r"builtins\.object has no form in JSON"):
        to_json(Answer(object()))


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: type(value).__name__)
def test_values_of_libraries_in_the_info(value, expected):
    info = msgspec.structs.replace(
        info_of(Txt2Img(), ["text"]), extra_generation_params={"k": value}
    )
    told = json.loads(info_text(info))["extra_generation_params"]["k"]
    assert told == expected or value != value or value == "a\ud800"


def test_info_says_null_for_what_json_lacks():
    """Spec api.md 9."""
    info = msgspec.structs.replace(
        info_of(Txt2Img(), ["text"]), extra_generation_params={"k": object()}
    )
    assert json.loads(info_text(info))["extra_generation_params"] == {"k": None}
