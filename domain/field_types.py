"""Checks the types of a struct's fields, for requests that are constructed in Python.

msgspec checks types when decoding only; without this, a wrong type would cause a TypeError
somewhere in the application.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from hexfusion.domain.errors import InvalidRequest

#: Longest part of a wrong value in its error message, in characters.
_SHOWN = 80
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", "above", lambda value, limit: value > limit),
    ("ge", "at least", lambda value, limit: value >= limit),
    ("lt", "below", lambda value, limit: value < limit),
    ("le", "at most", lambda value, limit: value <= limit),
)


def check_fields(
    request: object, expected: type[msgspec.Struct], name: str = "request", *, bounds: bool = False
) -> None:
    """Raises `InvalidRequest` for the first field whose value is not of its type.

    Nothing is converted: `"20"` and `20.0` are no integers, `True` is no number; an integer is
    accepted as a number, a tuple as a list. With `bounds` those of the annotations (`Meta(ge=...)`)
    are checked too. `name` is the field named in the error if `request` is no `expected`. Fields
    that only a subclass of `expected` has are not checked.
    """
    if not isinstance(request, expected):
        raise InvalidRequest(name, f"must be {expected.__name__}, not {_shown(request)}")
    for field, kind in _kinds(expected):
        value = getattr(request, field)
        if not _fits(kind, value):
            raise InvalidRequest(field, f"must be {_words(kind)}, not {_shown(value)}")
        if bounds:
            _check_bounds(field, kind, value)


@cache
def _kinds(type: type[msgspec.Struct]) -> Sequence[tuple[str, inspect.Type]]:
    info = inspect.type_info(type)
    assert isinstance(info, inspect.StructType)
    return [(field.name, _bare(field.type)) for field in info.fields]


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type without `Meta` annotations."""
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _fits(kind: inspect.Type, value: object) -> bool:
    match kind:
        case inspect.Metadata(type=inner):
            return _fits(inner, value)
        case inspect.UnionType():
            return any(_fits(each, value) for each in kind.types)
        case inspect.AnyType():
            return True
        case inspect.NoneType():
            return value is None
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.LiteralType():
            return any(type(each) is type(value) and each == value for each in kind.values)
        case inspect.ListType() | inspect.VarTupleType():
            item = kind.item_type
            return isinstance(value, list | tuple) and all(_fits(item, each) for each in value)
        case inspect.DictType():
            return isinstance(value, dict) and all(
                _fits(kind.key_type, key) and _fits(kind.value_type, each)
                for key, each in value.items()
            )
    raise TypeError(f"there is no rule for {kind}")


def _words(kind: inspect.Type, many: bool = False) -> str:
    """The name of a type in error messages; in the plural with `many`."""
    match kind:
        case inspect.Metadata(type=inner):
            return _words(inner, many)
        case inspect.UnionType():
            return " or ".join(sorted((_words(each, many) for each in kind.types), key=_none_last))
        case inspect.NoneType():
            return "None"
        case inspect.BoolType():
            return "True or False"
        case inspect.IntType():
            return "integers" if many else "an integer"
        case inspect.FloatType():
            return "numbers" if many else "a number"
        case inspect.StrType():
            return "texts" if many else "a text"
        case inspect.LiteralType():
            return " or ".join(map(repr, kind.values))
        case inspect.ListType() | inspect.VarTupleType():
            name = "list" if isinstance(kind, inspect.ListType) else "tuple"
            return f"a {name}{_of(kind.item_type)}"
        case inspect.DictType():
            return f"a dict with {_words(kind.key_type, many=True)} for keys"
    return "anything"


def _none_last(words: str) -> bool:
    return words == "None"


def _of(kind: inspect.Type) -> str:
    return "" if isinstance(_bare(kind), inspect.AnyType) else f" of {_words(kind, many=True)}"


def _check_bounds(field: str, kind: inspect.Type, value: object) -> None:
    for number in _numbers(kind):
        for bound, words, holds in _BOUNDS:
            limit = getattr(number, bound)
            if value is not None and limit is not None and not holds(value, limit):
                raise InvalidRequest(field, f"must be {words} {limit}, not {_shown(value)}")


def _numbers(kind: inspect.Type) -> Iterator[inspect.IntType | inspect.FloatType]:
    arms = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for arm in map(_bare, arms):
        if isinstance(arm, inspect.IntType | inspect.FloatType):
            yield arm


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({type(value).__name__})"
