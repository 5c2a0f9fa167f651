"""JSON values of what libraries hand out.

Libraries give values of types of their own: Pillow a subclass of `str` for international texts of a
PNG and a rational number for TIFF tags, NumPy its scalars, an enumeration its members. A JSON
encoder that judges by the exact type refuses them all.
"""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from enum import Enum
from numbers import Integral, Real
from typing import Any


def no_json(value: object) -> Any:
    """Raises TypeError: the value has no counterpart in JSON."""
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} has no form in JSON")


def plain(value: object, otherwise: Callable[[object], Any] = no_json) -> Any:
    """`value` as None, bool, int, float, str, or a list or dict of these, of exactly these types.

    Members of enumerations become their values, bytes are decoded as UTF-8 with replacements,
    halves of surrogate pairs become "?", NaN and infinities become None, sequences and sets
    become lists (sets in ascending order where they have one), keys become text, and what has a
    method `tolist` (scalars and arrays of NumPy and torch) becomes what that returns. For anything
    else, and for what goes deeper than Python's stack, the result is that of `otherwise`.
    """
    try:
        return _plain(value, otherwise)
    except RecursionError:
        return otherwise(value)


def _plain(value: object, otherwise: Callable[[object], Any]) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():  # before str and int, of which a member may be one, too
            return _plain(value.value, otherwise)
        case str():  # not `str(value)`: a subclass may say something else there
            return str.encode(value, "utf-8", "replace").decode()
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "replace")
        case Mapping():
            return {_key(key): _plain(item, otherwise) for key, item in value.items()}
        case _ if callable(as_list := getattr(value, "tolist", None)):
            return _plain(as_list(), otherwise)
        case Integral():
            return int(value)
        case Real():
            return _finite(value)
        case Set():
            return [_plain(item, otherwise) for item in _ordered(value)]
        case Sequence():
            return [_plain(item, otherwise) for item in value]
        case _:
            return otherwise(value)


def _finite(value: Real) -> float | None:
    try:
        number = float(value)
    except (ArithmeticError, ValueError):  # a rational number of a file may divide by zero
        return None
    return number if math.isfinite(number) else None


def _key(key: object) -> str:
    text = key if isinstance(key, str) and not isinstance(key, Enum) else str(_plain(key, str))
    return str.encode(text, "utf-8", "replace").decode()


def _ordered(values: Set[Any]) -> Sequence[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)
