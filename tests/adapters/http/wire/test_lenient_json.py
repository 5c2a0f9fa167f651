"""The table of spec api.md 2.2, row by row, and that nothing else can come of any body."""

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.lenient_json import Problem, Refused, TooManyValues, Unreadable
from hexfusion.domain.generation import Txt2Img


def refusal(body: object, type: type[Any] = Txt2Img) -> list[tuple[Any, ...]]:
    with pytest.raises(Refused) as caught:
        wire.as_struct(body, type)
    return [(each.loc, each.msg, each.type) for each in caught.value.problems]


INTEGER = ("value is not a valid integer", "type_error.integer")
FLOAT = ("value is not a valid float", "type_error.float")
BOOL = ("value could not be parsed to a boolean", "type_error.bool")
TEXT = ("str type expected", "type_error.str")
LIST = ("value is not a valid list", "type_error.list")
DICT = ("value is not a valid dict", "type_error.dict")
NONE = ("none is not an allowed value", "type_error.none.not_allowed")


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("steps", "20", 20),
        ("steps", " 20 ", 20),
        ("steps", 12.7, 12),
        ("seed", -1.9, -1),
        ("steps", True, 1),
        ("cfg_scale", 7, 7.0),
        ("cfg_scale", "7.5", 7.5),
        ("cfg_scale", True, 1.0),
        ("prompt", 5, "5"),
        ("prompt", 1.5, "1.5"),
        ("prompt", True, "True"),
        ("enable_hr", "YES", True),
        ("enable_hr", "off", False),
        ("enable_hr", 0, False),
        ("enable_hr", 1.0, True),
        ("styles", ["a", 1], ["a", "1"]),
        ("styles", None, None),
        ("override_settings", [["a", 1]], {"a": 1}),
        ("override_settings", [], {}),
        ("alwayson_scripts", {"x": None}, {"x": None}),
        ("script_args", [None, {"a": [1]}], [None, {"a": [1]}]),
    ],
)
def test_takes_what_a1111_takes(field: str, sent: object, read: object) -> None:
    value = getattr(wire.as_struct({field: sent}, Txt2Img), field)
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("words", "read"),
    [("1 on t true y yes Y True", True), ("0 off f false n no N False", False)],
)
def test_takes_every_word_for_yes_and_no(words: str, read: bool) -> None:
    """Spec api.md 2.2."""
    for word in words.split():
        assert wire.as_struct({"enable_hr": word}, Txt2Img).enable_hr is read, word


@pytest.mark.parametrize(
    ("field", "sent", "problem"),
    [
        ("steps", "abc", INTEGER),
        ("steps", "1.5", INTEGER),
        ("steps", [], INTEGER),
        ("steps", float("inf"), INTEGER),
        ("cfg_scale", "abc", FLOAT),
        ("cfg_scale", {}, FLOAT),
        ("cfg_scale", "nan", FLOAT),
        ("cfg_scale", float("-inf"), FLOAT),
        ("cfg_scale", 10**400, FLOAT),
        ("enable_hr", "abc", BOOL),
        ("enable_hr", 2, BOOL),
        ("enable_hr", [], BOOL),
        ("prompt", ["a"], TEXT),
        ("prompt", {}, TEXT),
        ("styles", "abc", LIST),
        ("styles", {}, LIST),
        ("override_settings", "abc", DICT),
        ("override_settings", [1], DICT),
        ("override_settings", [["a", 1, 2]], DICT),
        ("send_images", None, NONE),
        ("sampler_index", None, NONE),
        ("script_args", None, NONE),
        ("alwayson_scripts", None, NONE),
    ],
)
def test_refuses_in_a1111s_words(field: str, sent: object, problem: tuple[str, str]) -> None:
    """NaN and infinity are refused by us alone: A1111 crashes on them later."""
    assert refusal({field: sent}) == [(("body", field), *problem)]


def test_a_number_json_lacks_may_hide_nowhere() -> None:
    sent = {"override_settings": {"eta_ddim": [float("nan")]}}
    assert refusal(sent) == [(("body", "override_settings", "eta_ddim"), *FLOAT)]


def test_null_gives_the_default_where_there_is_no_null() -> None:
    """A1111 lets null through for these (spec api.md 5.1) and then crashes."""
    nothing = dict.fromkeys(("prompt", "steps", "width", "cfg_scale", "seed", "hr_prompt"))
    assert wire.as_struct(nothing, Txt2Img) == Txt2Img()


def test_unknown_members_are_ignored() -> None:
    assert wire.as_struct({"foo": 1, "steps": 3}, Txt2Img) == Txt2Img(steps=3)


def test_an_array_of_pairs_is_an_object() -> None:
    assert wire.as_struct([["steps", 1], ["width", 64]], Txt2Img) == Txt2Img(steps=1, width=64)
    assert wire.as_struct([], Txt2Img) == Txt2Img()


@pytest.mark.parametrize("body", ["abc", 1, [1], [[1, 2]], b"prompt=x", True])
def test_a_body_that_is_no_object(body: object) -> None:
    assert refusal(body) == [(("body",), *DICT)]


def test_no_body() -> None:
    assert refusal(None) == [(("body",), "field required", "value_error.missing")]
    with pytest.raises(Refused, match="field required"):
        wire.as_object(None)


def test_problems_come_together_and_in_field_order() -> None:
    sent = {"width": "x", "steps": "abc", "styles": ["a", {}, None], "seed": "y"}
    assert [loc for loc, _, _ in refusal(sent)] == [
        ("body", "styles", 1),
        ("body", "styles", 2),
        ("body", "seed"),
        ("body", "steps"),
        ("body", "width"),
    ]


class Picture(msgspec.Struct):
    data: str
    name: str


class Extras(msgspec.Struct, kw_only=True):
    """Shapes that later routes have (spec api.md 12.1)."""

    resize_mode: Literal[0, 1] = 0
    visibility: Annotated[float, Meta(ge=0, le=1)] = 0
    resize: Annotated[float, Meta(gt=0)] = 2
    imageList: list[Picture]


@pytest.mark.parametrize("sent", [0, 1, True, False])
def test_a_choice(sent: object) -> None:
    assert wire.as_struct({"resize_mode": sent, "imageList": []}, Extras).resize_mode == sent


def test_bounds_choices_and_nested_members() -> None:
    with pytest.raises(Refused) as caught:
        wire.as_struct(
            {
                "resize_mode": 2,
                "visibility": -1,
                "resize": 0,
                "imageList": [{"data": "", "name": ""}, {"data": ""}],
            },
            Extras,
        )
    assert list(caught.value.problems) == [
        Problem(
            ("body", "resize_mode"),
            "unexpected value; permitted: 0, 1",
            "value_error.const",
            {"given": 2, "permitted": [0, 1]},
        ),
        Problem(
            ("body", "visibility"),
            "ensure this value is greater than or equal to 0",
            "value_error.number.not_ge",
            {"limit_value": 0},
        ),
        Problem(
            ("body", "resize"),
            "ensure this value is greater than 0",
            "value_error.number.not_gt",
            {"limit_value": 0},
        ),
        Problem(("body", "imageList", 1, "name"), "field required", "value_error.missing"),
    ]


def test_a_missing_member() -> None:
    assert refusal({}, Extras) == [(("body", "imageList"), "field required", "value_error.missing")]


def test_over_the_upper_bound() -> None:
    assert refusal({"imageList": [], "visibility": 2}, Extras) == [
        (
            ("body", "visibility"),
            "ensure this value is less than or equal to 1",
            "value_error.number.not_le",
        )
    ]


def test_malformed_json_tells_where() -> None:
    with pytest.raises(Refused) as caught:
        wire.read_json(b'{"a": 1,\n x}', "application/json")
    (problem,) = caught.value.problems
    assert problem.loc == ("body", 10)
    assert problem.type == "value_error.jsondecode"
    assert problem.ctx == {
        "msg": "Expecting property name enclosed in double quotes",
        "doc": '{"a": 1,\n x}',
        "pos": 10,
        "lineno": 2,
        "colno": 2,
    }


def test_a_long_malformed_document_is_not_sent_back_whole() -> None:
    with pytest.raises(Refused) as caught:
        wire.read_json(b"[" + b"1," * 100_000, None)
    ctx = caught.value.problems[0].ctx
    assert ctx is not None
    assert len(ctx["doc"]) < 5000


@pytest.mark.parametrize(
    "raw",
    [b'"\xff"', b'{"prompt": "\\ud800"}', b"[" * 100_000, b"1" + b"0" * 5000],
    ids=["not UTF-8", "half a surrogate pair", "too deep", "too many digits"],
)
def test_what_cannot_be_read_at_all(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.read_json(raw, None)


def test_a_value_of_free_form_may_not_nest_without_end() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    assert refusal({"script_args": deep})[0][0] == ("body", "script_args", 0)
    with pytest.raises(Refused, match="nested deeper"):
        wire.as_object({"sd_vae": deep})


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "application/json; charset=utf-8", "application/vnd.x+json"],
)
def test_these_are_json(content_type: str | None) -> None:
    assert wire.read_json("{}".encode("utf-8-sig"), content_type) == {}


@pytest.mark.parametrize("content_type", ["text/json", "application/x-www-form-urlencoded", "x"])
def test_these_are_not(content_type: str) -> None:
    assert wire.read_json(b"{}", content_type) == b"{}"


def test_nothing_is_no_body() -> None:
    assert wire.read_json(b"", "application/json") is None


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e999"])
def test_the_numbers_json_lacks(literal: str) -> None:
    body = wire.read_json(f'{{"cfg_scale": {literal}, "steps": {literal}}}'.encode(), None)
    assert refusal(body) == [(("body", "steps"), *INTEGER), (("body", "cfg_scale"), *FLOAT)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(Txt2Img.__struct_fields__)
KINDS = {kind for _, kind in (INTEGER, FLOAT, BOOL, TEXT, LIST, DICT, NONE)} | {
    "value_error.number.not_ge",
    "value_error.number.not_le",
}


@settings(max_examples=100, deadline=None)
@given(JSON | st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_value_becomes_a_request_or_a_list_of_problems(body: Any) -> None:
    """What becomes a request can be echoed, and reads back as the same request."""
    try:
        request = wire.as_struct(body, Txt2Img)
    except Refused as refused:
        order = ("body", *Txt2Img.__struct_fields__)
        places = [
            order.index(str(each.loc[1])) if len(each.loc) > 1 else 0 for each in refused.problems
        ]
        assert places == sorted(places)
        if body is not None:
            assert {each.type for each in refused.problems} <= KINDS
        json.loads(msgspec.json.encode(refused.problems))
        return
    echoed = json.loads(msgspec.json.encode(request))
    assert wire.as_struct(echoed, Txt2Img) == request


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = wire.read_json(raw, None)
    except Refused as refused:
        (problem,) = refused.problems
        assert problem.type == "value_error.jsondecode"
        msgspec.json.encode(refused.problems)
    except Unreadable:
        pass
    else:
        if raw:
            json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize("body", [[0] * 1000, [[]] * 999, [{}] * 999, {"a": {"b": [0] * 998}}])
def test_values_are_counted_before_they_are_decoded(body):
    """Two bytes of JSON may take seventy of memory."""
    raw = json.dumps(body).encode()
    commas = sum(raw.count(each) for each in (b",", b"[", b"{"))
    assert wire.read_json(raw, "application/json", commas) == body
    with pytest.raises(TooManyValues, match=rf"at most {commas - 1} values \(--body-values\)"):
        wire.read_json(raw, "application/json", commas - 1)
    assert wire.read_json(raw, "text/plain", 1) == raw
