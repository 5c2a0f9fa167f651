"""Converts flags that are given as Python keyword arguments into a command line."""

import json
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from hexfusion.domain.flags.flag import Flag, FlagError, FlagKind, FlagValue
from hexfusion.domain.flags.flags import FLAGS
from hexfusion.domain.flags.parsing import resembling


@runtime_checkable
class Path(Protocol):
    """A file system path, such as `pathlib.Path`."""

    def __fspath__(self) -> str: ...


Setting = FlagValue | Path
"""A value of a flag given by keyword."""


def arguments(settings: Mapping[str, Setting]) -> list[str]:
    """The equivalent command line: `{"no_half": True, "threads": 2}` is `--no-half --threads=2`.

    A switch takes True and False. None, and False for a switch, means that the flag is not given.
    Values are validated by `parse_flags`. Raises `FlagError` for an unknown flag, and for a value
    that cannot be written on a command line.
    """
    return [word for dest, value in settings.items() for word in _words(_flag(dest), value)]


def _flag(dest: str) -> Flag:
    if dest not in FLAGS:
        raise FlagError(dest, f"no such flag{resembling(dest, FLAGS)}; see hexfusion --help")
    return FLAGS[dest]


def _words(flag: Flag, value: Setting) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Path):
        value = value.__fspath__()
    if flag.kind is FlagKind.SWITCH:
        if not isinstance(value, bool):
            raise FlagError(flag.option, f"must be True or False, not {value!r}")
        return [flag.option] if value else []
    if isinstance(value, bool):
        raise FlagError(flag.option, f"takes a value, not {value!r}")
    match value:
        case str() | int():
            return [f"{flag.option}={value}"]
        case Mapping() if flag.kind is FlagKind.OBJECT:
            return [f"{flag.option}={json.dumps(dict(value))}"]
        case list() | tuple() if flag.kind is FlagKind.PATHS:
            return [f"{flag.option}={each}" for each in value]
        case list() | tuple() if flag.kind is FlagKind.WORDS and value:
            return [flag.option, *map(str, value)]
    raise FlagError(flag.option, f"cannot be {value!r}")
