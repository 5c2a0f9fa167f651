"""The text that `hexfusion --help` prints."""

import textwrap
from collections.abc import Iterable

from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagKind
from hexfusion.domain.flags.flags import FLAGS

_WIDTH = 96
_HEAD = """\
usage: hexfusion [flags]

A headless Stable Diffusion server that speaks AUTOMATIC1111's REST API.
Flags in the environment variable COMMANDLINE_ARGS are read after these; an unknown flag is
an error unless IGNORE_CMD_ARGS_ERRORS is set. HEXFUSION_DATA names the data folder where
--data-dir does not.
"""


def help_text() -> str:
    """The help text: flags with an effect and their descriptions, then the names of the others."""
    return "\n".join(
        (
            _HEAD,
            "Flags:",
            *_entries(FlagEffect.WORKS),
            "",
            "Accepted, because what they ask for is always so here:",
            *_names(FlagEffect.GRANTED),
            "",
            "Accepted for the sake of existing command lines, without effect so far:",
            *_names(FlagEffect.NONE),
            "",
        )
    )


def _of(effect: FlagEffect) -> Iterable[Flag]:
    return (flag for flag in FLAGS.values() if flag.effect is effect)


def _entries(effect: FlagEffect) -> Iterable[str]:
    for flag in _of(effect):
        usage = f"  {flag.option} {_placeholder(flag)}".rstrip()
        lines = textwrap.wrap(flag.help + _default(flag), _WIDTH - 36)
        gap = [usage] if len(usage) > 34 else []
        yield from gap
        for i, line in enumerate(lines):
            yield f"{usage if i == 0 and not gap else '':<36}{line}"


def _names(effect: FlagEffect) -> Iterable[str]:
    names = " ".join(flag.option for flag in _of(effect))
    return textwrap.wrap(
        names, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


def _placeholder(flag: Flag) -> str:
    if flag.choices:
        return "|".join(flag.choices)
    match flag.kind:
        case FlagKind.SWITCH:
            return ""
        case FlagKind.INTEGER:
            return "N"
        case FlagKind.PATH | FlagKind.PATHS:
            return "DIR" if flag.dest.endswith("dir") else "FILE"
        case FlagKind.WORDS:
            return "NAME ..."
        case FlagKind.OBJECT:
            return "JSON"
    return "TEXT"


def _default(flag: Flag) -> str:
    match flag.default:
        case bool() | None | "":
            return ""
        case "{data}":
            return " (default: $HEXFUSION_DATA or ./data)"
        case int() | str():
            return f" (default: {flag.default})".replace("{data}/", "")
    return ""
