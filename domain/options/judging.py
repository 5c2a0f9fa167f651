"""What may be stored in an option: its choices, its bounds, its size, its form.

A1111 stores anything, and then fails in every job until somebody stores something else (spec api.md
13.2, 17). Here one rule holds for `POST /options`, for `override_settings` and the infotext's and
scripts' overrides, and for the settings file. A value outside that means something in A1111 is
taken for what it means (a CLIP skip of 0 for 1); every other is refused by name. The registry says
what holds for each option; `docs/options.md` lists it.
"""

from collections.abc import Collection, Mapping

import msgspec

from hexfusion.domain.colours import is_colour
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options.option import ITEM_LENGTH, LIST_ITEMS, Option, OptionValue
from hexfusion.domain.options.registry import PAIRED

SIZE = 1 << 20
"""How many bytes of JSON all stored options may take, unless the operator says otherwise."""

#: Longest path and longest name in it, in bytes (Linux, and the common file systems).
_PATH, _NAME = 4096, 255


def judge(option: Option, value: OptionValue) -> OptionValue:
    """`value`, which has the option's type, as it is to be stored.

    Raises OptionError naming the option and what it admits.
    """
    match value:
        case bool() | None:
            return value
        case int() | float():
            return _number(option, value)
        case str():
            return _text(option, value)
        case _:
            return _list(option, value)


def judge_together(values: Mapping[str, OptionValue], changed: Collection[str]) -> None:
    """Raises OptionError where two options with effect do not go together.

    `values` are all options, `changed` the keys whose values are new: the error names one of them.
    """
    for option in PAIRED:
        assert option.at_most is not None
        other, factor = option.at_most
        if option.key not in changed and other not in changed:
            continue
        value, limit = values[option.key], values[other]
        assert isinstance(value, int | float) and isinstance(limit, int | float)
        if value and limit and value > limit * factor:
            share = f"{factor:g} times " if factor != 1 else ""
            message = f"{option.key} must be at most {share}{other}, which is {limit:g}"
            key = option.key if option.key in changed else other
            raise OptionError(key, f"{message}, not {value:g}")


def judge_size(
    before: Mapping[str, OptionValue], after: Mapping[str, OptionValue], limit: int
) -> None:
    """Raises OptionError, naming the longest of the new values, if all stored values together are
    over `limit` bytes as JSON and grow."""
    size = _size(after)
    if size <= limit or size <= _size(before):
        return
    new = {key: value for key, value in after.items() if before.get(key) != value}
    longest = max(new, key=lambda key: len(key) + len(msgspec.json.encode(new[key])))
    message = f"all stored options together would have {size} bytes; at most {limit} are kept"
    raise OptionError(longest[:80], message)


def _size(values: Mapping[str, OptionValue]) -> int:
    return len(msgspec.json.encode(dict(values)))


def expected(option: Option) -> str:
    """What the option admits, in words for errors and documents; empty if its type says it all."""
    told = []
    if option.admitted:
        low, high = option.admitted
        told.append("from {} to {}".format(*map(_plain, (low, high))))
        told += [f"or {_plain(number)}" for number in option.also]
    if option.at_most:
        other, factor = option.at_most
        told.append(f"at most {factor:g} times `{other}`" if factor != 1 else f"at most `{other}`")
    if option.choices and not option.open_choices:
        gone = dict(option.refused)
        told.append("one of: " + ", ".join(each for each in option.choices if each not in gone))
    if option.otherwise:
        told.append(f"any other text counts as {option.otherwise}")
    told += filter(None, [_FORMS[option.form]])
    return "; ".join(told).replace("; or ", " or ")


_FORMS = {
    "text": "",
    "colour": "a colour, as in #rrggbb or by its CSS name",
    "folder": "a folder inside of the data folder, or one that the settings file named at start",
    "file": "a file inside of the data folder or of those that the settings file named at start",
    "sub-folders": "without `..`",
}


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def shown(value: object) -> str:
    """A client's value, cut to what an error has room for."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse(option: Option, value: object) -> OptionError:
    return OptionError(option.key, f"must be {expected(option)}; not {shown(value)}")


def _number(option: Option, value: int | float) -> int | float:
    if option.admitted is None or value in option.also:
        return value
    low, high = option.admitted
    if value < low and option.low_is_lowest:
        return _same_type(value, low)
    if value > high and option.high_is_highest:
        return _same_type(value, high)
    if not low <= value <= high:
        raise _refuse(option, value)
    return value


def _same_type(value: int | float, bound: float) -> int | float:
    return int(bound) if isinstance(value, int) else float(bound)


def _text(option: Option, value: str) -> str:
    if len(value) > option.longest:
        message = f"has at most {option.longest} characters, not {len(value)}"
        raise OptionError(option.key, message)
    if option.choices and not option.open_choices:
        return _choice(option, value)
    match option.form:
        case "colour":
            if not is_colour(value):
                raise _refuse(option, value)
        case "folder" | "file":
            _check_path(option, value)
        case "sub-folders":
            if ".." in (part.strip(" ") for part in value.replace("\\", "/").split("/")):
                raise _refuse(option, value)
        case "text":
            pass
    return value


def _choice(option: Option, value: str) -> str:
    word = value.lower() if option.any_case else value
    word = dict(option.synonyms).get(word, word)
    if word not in option.choices:
        if option.otherwise:
            return option.otherwise
        raise _refuse(option, value)
    if why := dict(option.refused).get(word):
        raise OptionError(option.key, f"{value!r} is not available: {why}")
    return word


def _check_path(option: Option, value: str) -> None:
    """What no path may have, wherever it leads; the archive knows which folders are open."""
    parts = value.replace("\\", "/").split("/")
    if ".." in parts or "\0" in value:
        raise _refuse(option, value)
    if len(value.encode()) > _PATH or any(len(part.encode()) > _NAME for part in parts):
        message = f"has at most {_PATH} bytes, and {_NAME} between two slashes"
        raise OptionError(option.key, message)


def _list(option: Option, value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) > LIST_ITEMS:
        raise OptionError(option.key, f"has at most {LIST_ITEMS} entries, not {len(value)}")
    for item in value:
        if len(item) > ITEM_LENGTH:
            message = f"an entry has at most {ITEM_LENGTH} characters, not {len(item)}"
            raise OptionError(option.key, message)
    if option.choices and not option.open_choices:
        return tuple(_choice(option, item) for item in value)
    return value
