"""Writes parsed flags as a command line, with secrets hidden."""

from hexfusion.domain.flags.flag import FlagKind
from hexfusion.domain.flags.flags import FLAGS, Flags

HIDDEN = "<hidden>"


def command_line(flags: Flags) -> list[str]:
    """The flags that were given, in their registered order; secret values become `HIDDEN`."""
    words: list[str] = []
    for dest, flag in FLAGS.items():
        if dest in flags.given:
            words.append(flag.option)
            value = flags[dest]
            if flag.secret:
                words.append(HIDDEN)
            elif flag.kind is not FlagKind.SWITCH:
                words += map(str, value if isinstance(value, tuple) else [value])
    return words
