"""A request made in Python is checked field by field: msgspec does not do it on construction."""

import msgspec
import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.extras import ExtrasRequest
from hexfusion.domain.field_types import check_fields
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.picture_lists import PictureLists

REQUESTS = (Txt2Img, Img2Img, ExtrasRequest, PictureLists)


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_the_defaults_fit(kind):
    check_fields(kind(), kind, bounds=True)


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_every_field_is_looked_at(kind):
    """But for those that may hold anything, of which there are none."""
    for field in kind.__struct_fields__:
        with pytest.raises(InvalidRequest) as caught:
            check_fields(msgspec.structs.replace(kind(), **{field: object()}), kind)
        assert caught.value.field == field
        assert caught.value.message.startswith("must be ")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": "20"}, "must be an integer, not '20'"),
        ({"steps": 20.0}, "must be an integer, not 20.0"),
        ({"steps": True}, "must be an integer, not True"),
        ({"width": None}, "must be an integer, not None"),
        ({"prompt": 5}, "must be a text, not 5"),
        ({"cfg_scale": "7"}, "must be a number, not '7'"),
        ({"cfg_scale": False}, "must be a number, not False"),
        ({"enable_hr": 1}, "must be True or False, not 1"),
        ({"eta": "x"}, "must be a number or None, not 'x'"),
        ({"styles": "old"}, "must be a list of texts or None, not 'old'"),
        ({"styles": ["old", 1]}, "must be a list of texts or None, not ['old', 1]"),
        ({"script_args": {}}, "must be a list, not {}"),
        ({"alwayson_scripts": []}, "must be a dict with texts for keys, not []"),
        ({"alwayson_scripts": {1: 2}}, "must be a dict with texts for keys, not {1: 2}"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(fields, message):
    with pytest.raises(InvalidRequest) as caught:
        check_fields(Txt2Img(**fields), Txt2Img)
    assert (caught.value.field, caught.value.message) == (*fields, message)


@pytest.mark.parametrize(
    "fields",
    [{"cfg_scale": 7}, {"eta": None}, {"styles": ("old",)}, {"script_args": [None, 1, "x"]}],
    ids=str,
)
def test_what_is_right_passes(fields):
    check_fields(Txt2Img(**fields), Txt2Img)


def test_a_long_value_is_shown_in_part():
    with pytest.raises(InvalidRequest) as caught:
        check_fields(Txt2Img(steps="9" * 10_000), Txt2Img)
    assert len(caught.value.message) < 150
    assert caught.value.message.endswith("... (str)")


@pytest.mark.parametrize("wrong", ["a cat", None, Img2Img(), {"prompt": "a cat"}], ids=repr)
def test_another_kind_of_request(wrong):
    with pytest.raises(InvalidRequest, match=r"^request: must be Txt2Img, not "):
        check_fields(wrong, Txt2Img)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resize_mode": 2}, "must be 0 or 1, not 2"),
        ({"resize_mode": True}, "must be 0 or 1, not True"),
        ({"upscaling_resize": 0}, "must be above 0, not 0"),
        ({"upscaling_resize_w": 0}, "must be at least 1, not 0"),
        ({"gfpgan_visibility": 1.5}, "must be at most 1, not 1.5"),
        ({"codeformer_weight": float("nan")}, "must be at least 0, not nan"),
    ],
    ids=str,
)
def test_bounds(fields, message):
    with pytest.raises(InvalidRequest) as caught:
        check_fields(ExtrasRequest(**fields), ExtrasRequest, bounds=True)
    assert (caught.value.field, caught.value.message) == (*fields, message)


def test_bounds_are_left_to_others_unless_asked_for():
    check_fields(Txt2Img(width=5), Txt2Img)


def test_the_fields_that_a_subclass_adds_are_its_own_affair():
    class Named(ExtrasRequest, frozen=True, kw_only=True):
        names: set[str] = msgspec.field(default_factory=set)

    check_fields(Named(), ExtrasRequest)
