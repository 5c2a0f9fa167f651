"""Converting a client's value to an option's type, and judging it.

A1111 stores any JSON value and then breaks `GET /options`. Here a value is coerced by the rules of
pydantic v1 (spec api.md 2.2) and judged (`judging`) before it is stored, or refused with an error
that names what is expected.
"""

import math

from hexfusion.domain.errors import OptionError
from hexfusion.domain.options.judging import judge, shown
from hexfusion.domain.options.option import Kind, Option, OptionValue

_WHAT = {
    "bool": "a boolean",
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "list": "a list of texts",
}
_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})
_INT64 = 2**63  # larger integers cannot be written as JSON by every client, nor read as a float


def coerce(option: Option, value: object) -> OptionValue:
    """`value` as it is stored in `option`; null stays null.

    Raises OptionError, naming the key and the expected type, bounds or choices. Integers stay
    integers for options that hold numbers with a fraction: infotext shows `Sigma churn: 1` when `1`
    was set, not `1.0`.
    """
    if value is None:
        return None
    try:
        typed = _coerce(option.kind, value)
    except (ValueError, OverflowError):
        message = f"value is not {_WHAT[option.kind]}: {shown(value)}"
        raise OptionError(option.key, message) from None
    return judge(option, typed)


def _coerce(kind: Kind, value: object) -> OptionValue:
    match kind:
        case "bool":
            return _boolean(value)
        case "int":
            return _integer(value)
        case "float":
            return _number(value)
        case "str":
            return _text(value)
        case "list":
            if not isinstance(value, list | tuple):
                raise ValueError
            return tuple(_text(item) for item in value)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and (word := value.lower()) in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError


def _integer(value: object) -> int:
    if not isinstance(value, int | float | str):
        raise ValueError
    number = int(value)  # truncates a float; refuses "1.5", infinity and NaN
    if not -_INT64 <= number < _INT64:
        raise ValueError
    return number


def _number(value: object) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise ValueError
    text = str(value)
    text.encode()  # a lone surrogate cannot be saved: UnicodeEncodeError is a ValueError
    return text
