"""Replies are JSON, whatever library their values come from."""

import json
from base64 import b64decode
from enum import StrEnum
from fractions import Fraction
from io import BytesIO
from typing import Any

import msgspec
import numpy
import pytest
from PIL import Image
from PIL.Image import open as open_image
from PIL.PngImagePlugin import iTXt
from PIL.TiffImagePlugin import IFDRational

from hexfusion.adapters.http.wire.json_results import info_text, picture_text, to_json
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


def test_a_picture_too_long_for_its_format_is_sent_as_png():
    """A wide grid: the reply, with all other pictures, was a 500 after all the work."""
    wide = Image.new("L", (16384, 1))
    sent = b64decode(picture_text(wide, "webp", quality=80, infotext="a cat"))
    with open_image(BytesIO(sent)) as image:
        assert (image.format, image.size) == ("PNG", wide.size)
        assert image.info["parameters"] == "a cat"
