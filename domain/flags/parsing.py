"""Parses the command line. Reads neither files nor `os.environ`: both are passed in.

Source: spec api.md 1. As in A1111 a value follows after a space or `=`, and a flag may be shortened
to any unambiguous prefix.
"""

import difflib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from hexfusion.domain.flags.flag import Flag, FlagError, FlagKind, FlagValue
from hexfusion.domain.flags.flags import FLAGS, Flags

_BY_OPTION = {flag.option: flag for flag in FLAGS.values()} | {"-h": FLAGS["help"]}


def parse_flags(
    argv: Sequence[str], environ: Mapping[str, str], *, absolute: Callable[[str], str]
) -> Flags:
    """Parse `argv` (without the program's name), followed by `environ["COMMANDLINE_ARGS"]`.

    `absolute` makes a path absolute and normalised, such as `os.path.abspath`. The data folder is
    `--data-dir`, or `$HEXFUSION_DATA`, or `data` in the current folder.
    Raises `FlagError`; for an unknown flag only while `IGNORE_CMD_ARGS_ERRORS` is not set.
    """
    given, unknown = _read([*argv, *_split(environ.get("COMMANDLINE_ARGS", ""))])
    if unknown and "IGNORE_CMD_ARGS_ERRORS" not in environ:
        raise FlagError(unknown[0], f"no such flag{resembling(unknown[0], _BY_OPTION)}; see --help")
    data = absolute(str(given.get("data_dir") or environ.get("HEXFUSION_DATA") or "data"))
    models = absolute(str(given.get("models_dir") or f"{data}/models"))

    def in_place(path: str) -> str:
        return absolute(path.replace("{data}", data, 1).replace("{models}", models, 1))

    values = {
        dest: _located(flag, given[dest], absolute)
        if dest in given
        else _located(flag, flag.default, in_place)
        for dest, flag in FLAGS.items()
    }
    _check_precision(values)
    return Flags(MappingProxyType(values), frozenset(given), tuple(unknown))


def _check_precision(values: Mapping[str, FlagValue]) -> None:
    """`--precision half` contradicts `--no-half` and `--no-half-vae`, as in A1111."""
    for dest in ("no_half", "no_half_vae"):
        if values["precision"] == "half" and values[dest]:
            raise FlagError("--precision", f"half contradicts {FLAGS[dest].option}")


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise FlagError("COMMANDLINE_ARGS", str(error)) from error


def _read(tokens: Sequence[str]) -> tuple[dict[str, FlagValue], list[str]]:
    """(values by dest, unknown flags)."""
    given: dict[str, FlagValue] = {}
    unknown: list[str] = []
    rest = list(reversed(tokens))
    while rest:
        name, equals, attached = rest.pop().partition("=")
        flag = _find(name)
        if flag is None:
            unknown.append(name + equals + attached)
        elif flag.kind is FlagKind.SWITCH:
            if equals:
                raise FlagError(flag.option, f"takes no value, but was given {attached!r}")
            # A switch whose default is null turns off what is on (`--disable-tls-verify`).
            given[flag.dest] = flag.default is not None
        else:
            given[flag.dest] = _read_value(flag, [attached] if equals else _take(flag, rest), given)
    return given, unknown


def _find(name: str) -> Flag | None:
    """The flag with that name, or the only flag whose name starts with it."""
    if name in _BY_OPTION or not name.startswith("--") or name == "--":
        return _BY_OPTION.get(name)
    options = [option for option in _BY_OPTION if option.startswith(name)]
    if len(options) > 1:
        raise FlagError(name, f"could be {', '.join(options)}")
    return _BY_OPTION[options[0]] if options else None


def resembling(name: str, names: Iterable[str]) -> str:
    """A question that names the one of `names` which may have been meant, or nothing."""
    close = difflib.get_close_matches(name.partition("=")[0], list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _take(flag: Flag, rest: list[str]) -> list[str]:
    """Remove the flag's values from the end of `rest`: one value, or all of them for WORDS."""
    taken: list[str] = []
    while rest and _is_value(rest[-1]) and (not taken or flag.kind is FlagKind.WORDS):
        taken.append(rest.pop())
    if not taken:
        raise FlagError(flag.option, "a value must follow")
    return taken


def _is_value(token: str) -> bool:
    """Whether a token is a value: not a flag's name, but a dash, a negative number or a text with
    spaces may begin with a dash."""
    return not token.startswith("-") or token == "-" or " " in token or token[1:].isdigit()


def _read_value(flag: Flag, words: list[str], given: Mapping[str, FlagValue]) -> FlagValue:
    if flag.kind in (FlagKind.PATH, FlagKind.PATHS) and not words[0]:
        raise FlagError(flag.option, "must name a path")
    match flag.kind:
        case FlagKind.INTEGER:
            return _integer(flag, words[0])
        case FlagKind.OBJECT:
            return _object(flag, words[0])
        case FlagKind.WORDS:
            return tuple(word.lower() for word in words)
        case FlagKind.PATHS:
            before = given.get(flag.dest, ())
            assert isinstance(before, tuple)
            return (*before, words[0])
    return _choice(flag, words[0]) if flag.choices else words[0]


def _choice(flag: Flag, word: str) -> str:
    for choice in flag.choices:
        if choice.lower() == word.lower():
            return choice
    raise FlagError(flag.option, f"must be one of {', '.join(flag.choices)}, not {word!r}")


def _integer(flag: Flag, word: str) -> int:
    try:
        number = int(word)
    except ValueError:
        raise FlagError(flag.option, f"must be a whole number, not {word!r}") from None
    if flag.least is not None and number < flag.least:
        raise FlagError(flag.option, f"must be at least {flag.least}, not {number}")
    if flag.most is not None and number > flag.most:
        raise FlagError(flag.option, f"must be at most {flag.most}, not {number}")
    return number


def _object(flag: Flag, word: str) -> Mapping[str, object]:
    try:
        value = json.loads(word)
    except ValueError as error:
        raise FlagError(flag.option, f"must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise FlagError(flag.option, "must be a JSON object")
    return value


def _located(flag: Flag, value: FlagValue, locate: Callable[[str], str]) -> FlagValue:
    """The value with `locate` applied to each path in it."""
    if flag.kind is FlagKind.PATH and isinstance(value, str):
        return locate(value)
    if flag.kind is FlagKind.PATHS and isinstance(value, tuple):
        return tuple(map(locate, value))
    return value
