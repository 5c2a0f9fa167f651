"""Decodes JSON requests leniently, by A1111's rules, with A1111's validation messages.

A1111 reads requests with pydantic v1: `"20"` is an integer, `5` a prompt, `"yes"` a boolean, an
array of pairs an object, and unknown members are ignored. Here the same rules are applied to any
msgspec struct, by the types of its fields. All errors are reported, in the order of the fields,
with the messages that clients know. Source: spec api.md 2 and 2.2.

There are three intentional differences: NaN and infinity are no valid floats; null for a field
that is not nullable (A1111 accepts it and crashes later) means the field's default; and text that
cannot be encoded as UTF-8 is refused.
"""

import json
import math
from collections.abc import Callable, Sequence
from email.message import Message
from functools import cache
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import inspect

Loc = tuple[str | int, ...]
S = TypeVar("S", bound=msgspec.Struct)
N = TypeVar("N", int, float)


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a 422's `detail`: location, message, error type, and context (such as a
    bound)."""

    loc: Loc
    msg: str
    type: str
    ctx: dict[str, Any] | None = None


class Refused(Exception):
    """The request is invalid. `problems` has at least one entry."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{_dotted(each.loc)}: {each.msg}" for each in problems))
        self.problems = problems


class Unreadable(Exception):
    """The body cannot be decoded: no text, nested too deep, or an oversized number."""


class TooManyValues(Exception):
    """The body has more than `limit` values: a few bytes of JSON take a hundred once decoded."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body holds too much: at most {limit} values (--body-values)")


#: Values in a body, by default.
MAX_VALUES = 1_000_000

#: Fields of generation requests for which A1111 refuses null (spec api.md 5.1 and 6, "nullable").
_NEVER_NULL = frozenset(
    {
        "alwayson_scripts",
        "denoising_strength",
        "include_init_images",
        "sampler_index",
        "script_args",
        "send_images",
        "save_images",
    }
)

_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})

#: Deepest nesting of a value without fixed type.
_DEPTH = 100
#: Longest part of a malformed document in its error, in characters.
_SHOWN = 4096


def read_json(raw: bytes, content_type: str | None, most: int = MAX_VALUES) -> object:
    """The JSON value of a body; None for an empty body; the bytes if it is not JSON.

    `most` bounds its values, which are counted before any is decoded, by the commas and brackets
    that come before them. Raises `Refused` for malformed JSON, with the position, `Unreadable` and
    `TooManyValues`.
    """
    if not raw:
        return None
    if not _is_json(content_type):
        return raw
    if len(raw) > most and sum(map(raw.count, (b",", b"[", b"{"))) > most:
        raise TooManyValues(most)
    return _decode(raw)


def as_object(body: object) -> dict[str, Any]:
    """The body as an object. Raises `Refused`."""
    if body is None:
        _refuse(("body",), "field required", "value_error.missing")
    return {name: _free(value, ("body", name)) for name, value in _object(body, ("body",)).items()}


def as_struct(body: object, type: type[S], *, nulls: bool = True) -> S:
    """Decode the body into a struct. Raises `Refused` with all problems, in field order.

    Null for a field that is not nullable means its default; with `nulls` False it is refused, as in
    A1111's requests other than generation.
    """
    if body is None:
        _refuse(("body",), "field required", "value_error.missing")
    return _struct(type, body, ("body",), nulls)


def given_fields(body: object, type: type[msgspec.Struct]) -> frozenset[str]:
    """The names of the struct's fields that the body contains, including those that are null."""
    named = _object(body, ("body",))
    return frozenset(field.name for field in _fields(type) if field.encode_name in named)


def as_flag(text: str, loc: Loc) -> bool:
    """Parse a boolean of a query or header. Raises `Refused`."""
    return _boolean(text, loc)


def as_count(text: str, loc: Loc) -> int:
    """Parse an integer from 0 of a query or header. Raises `Refused`."""
    value = _integer(text, loc)
    if value < 0:
        message = "ensure this value is greater than or equal to 0"
        _refuse(loc, message, "value_error.number.not_ge", {"limit_value": 0})
    return value


def _decode(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(raw)


def _decode_leniently(raw: bytes) -> object:
    """Decode with Python's json module, which accepts NaN and other encodings, and whose messages
    for malformed documents are the ones that A1111 sends."""
    try:
        text = raw.decode(json.detect_encoding(raw))
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate could not be echoed
    except json.JSONDecodeError as error:
        context = {
            "msg": error.msg,
            "doc": error.doc[:_SHOWN],
            "pos": error.pos,
            "lineno": error.lineno,
            "colno": error.colno,
        }
        _refuse(("body", error.pos), str(error), "value_error.jsondecode", context)
    except (ValueError, RecursionError) as error:
        raise Unreadable("There was an error parsing the body") from error
    return value


def _is_json(content_type: str | None) -> bool:
    if not content_type:
        return True
    message = Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")


@cache
def _fields(type: type[msgspec.Struct]) -> Sequence[inspect.Field]:
    info = inspect.type_info(type)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _struct(type: type[S], value: object, loc: Loc, nulls: bool = True) -> S:
    given = _object(value, loc)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in _fields(type):
        name = field.encode_name
        if name not in given:
            if field.required:
                problems.append(Problem((*loc, name), "field required", "value_error.missing"))
        elif given[name] is None and nulls and _null_means_default(field):
            continue
        else:
            try:
                values[field.name] = _coerce(field.type, given[name], (*loc, name))
            except Refused as refused:
                problems.extend(refused.problems)
    if problems:
        raise Refused(*problems)
    return type(**values)


def _null_means_default(field: inspect.Field) -> bool:
    return not (field.required or field.name in _NEVER_NULL or _takes_null(field.type))


def _takes_null(kind: inspect.Type) -> bool:
    match kind:
        case inspect.Metadata():
            return _takes_null(kind.type)
        case inspect.UnionType():
            return kind.includes_none
        case _:
            return isinstance(kind, inspect.AnyType | inspect.NoneType)


def _coerce(kind: inspect.Type, value: object, loc: Loc) -> Any:
    """Convert `value` to `kind`. Raises `Refused`. Source: the table of spec api.md 2.2."""
    match kind:
        case inspect.Metadata():
            return _coerce(kind.type, value, loc)
        case inspect.UnionType():
            if value is None and kind.includes_none:
                return None
            (arm,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
            return _coerce(arm, value, loc)
        case inspect.AnyType():
            return _free(value, loc)
    if value is None:
        _refuse(loc, "none is not an allowed value", "type_error.none.not_allowed")
    match kind:
        case inspect.BoolType():
            return _boolean(value, loc)
        case inspect.IntType():
            return _within(_integer(value, loc), kind, loc)
        case inspect.FloatType():
            return _within(_number(value, loc), kind, loc)
        case inspect.StrType():
            return _text(value, loc)
        case inspect.LiteralType():
            return _choice(value, kind.values, loc)
        case inspect.ListType():
            return _list(kind.item_type, value, loc)
        case inspect.DictType(key_type=inspect.StrType()):
            return _collect(kind.value_type, _object(value, loc), loc)
        case inspect.StructType():
            return _struct(kind.cls, value, loc)
    raise TypeError(f"{_dotted(loc)}: the wire has no rule for {kind}")


def _integer(value: object, loc: Loc) -> int:
    if isinstance(value, int | float | str):
        try:
            return int(value)
        except (ValueError, OverflowError):  # "1.5", "abc", NaN, infinity
            pass
    _refuse(loc, "value is not a valid integer", "type_error.integer")


def _number(value: object, loc: Loc) -> float:
    if isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):  # "abc", an integer of 400 digits
            number = math.nan
        if math.isfinite(number):
            return number
    _refuse(loc, "value is not a valid float", "type_error.float")


def _boolean(value: object, loc: Loc) -> bool:
    if isinstance(value, int | float) and value in (0, 1):  # true and false are 1 and 0 as well
        return value == 1
    if isinstance(value, str) and (word := value.lower()) in _TRUE | _FALSE:
        return word in _TRUE
    _refuse(loc, "value could not be parsed to a boolean", "type_error.bool")


def _text(value: object, loc: Loc) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    _refuse(loc, "str type expected", "type_error.str")


def _choice(value: object, permitted: Sequence[object], loc: Loc) -> object:
    for each in permitted:
        if each == value:
            return each
    listed = ", ".join(map(repr, permitted))
    context = {"given": value, "permitted": list(permitted)}
    _refuse(loc, f"unexpected value; permitted: {listed}", "value_error.const", context)


def _list(item: inspect.Type, value: object, loc: Loc) -> list[Any]:
    if not isinstance(value, list):
        _refuse(loc, "value is not a valid list", "type_error.list")
    return list(_collect(item, dict(enumerate(value)), loc).values())


def _object(value: object, loc: Loc) -> dict[str, Any]:
    """An object, or an array of [key, value] pairs."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and all(map(_is_member, value)):
        return dict(value)
    _refuse(loc, "value is not a valid dict", "type_error.dict")


def _is_member(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)


def _collect(kind: inspect.Type, items: dict[Any, Any], loc: Loc) -> dict[Any, Any]:
    """Convert every item to `kind`. Raises `Refused` with the problems of all items."""
    values: dict[Any, Any] = {}
    problems: list[Problem] = []
    for key, item in items.items():
        try:
            values[key] = _coerce(kind, item, (*loc, key))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(*problems)
    return values


def _free(value: object, loc: Loc, depth: int = 0) -> object:
    """Check a value without fixed type: no NaN or infinity, since JSON replies cannot echo them."""
    if depth > _DEPTH:
        _refuse(loc, f"value is nested deeper than {_DEPTH} levels", "value_error")
    match value:
        case float() if not math.isfinite(value):
            _refuse(loc, "value is not a valid float", "type_error.float")
        case list():
            for item in value:
                _free(item, loc, depth + 1)
        case dict():
            for item in value.values():
                _free(item, loc, depth + 1)
    return value


_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", "greater than", lambda value, limit: value > limit),
    ("ge", "greater than or equal to", lambda value, limit: value >= limit),
    ("lt", "less than", lambda value, limit: value < limit),
    ("le", "less than or equal to", lambda value, limit: value <= limit),
)


def _within(value: N, kind: inspect.IntType | inspect.FloatType, loc: Loc) -> N:
    for bound, words, holds in _BOUNDS:
        limit = getattr(kind, bound)
        if limit is not None and not holds(value, limit):
            message = f"ensure this value is {words} {limit}"
            _refuse(loc, message, f"value_error.number.not_{bound}", {"limit_value": limit})
    return value


def _refuse(loc: Loc, msg: str, type: str, ctx: dict[str, Any] | None = None) -> NoReturn:
    raise Refused(Problem(loc, msg, type, ctx))


def _dotted(loc: Loc) -> str:
    return ".".join(map(str, loc))
