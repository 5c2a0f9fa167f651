"""One command-line flag: its name, the kind of its value, its default, and its effect."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from hexfusion.domain.errors import HexfusionError

FlagValue = bool | int | str | tuple[str, ...] | Mapping[str, object] | None
"""The value of a flag. Lists are tuples, so that they are immutable."""


class FlagKind(Enum):
    """The kind of value that a flag takes."""

    SWITCH = "switch"  # no value; inverts the default (null counts as true)
    TEXT = "text"
    INTEGER = "integer"
    PATH = "path"  # made absolute
    PATHS = "paths"  # may be repeated; each use adds a path
    WORDS = "words"  # one or more, up to the next flag; lower case
    OBJECT = "object"  # a JSON object


class FlagEffect(Enum):
    """The effect of a flag in this server."""

    WORKS = "works"
    GRANTED = "granted"  # accepted; this server always behaves that way
    NONE = "none"  # accepted without effect; a warning is logged at start


class Flag(msgspec.Struct, frozen=True):
    """Definition of one flag.

    A default path may start with `{data}` or `{models}`, for the data or models folder. `least` and
    `most` bound an integer.
    """

    dest: str
    """Its name in `GET /cmd-flags`; with dashes for underscores, its name on the command line."""
    kind: FlagKind = FlagKind.SWITCH
    default: FlagValue = False
    help: str = ""
    effect: FlagEffect = FlagEffect.NONE
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    secret: bool = False
    """Never shown to clients."""
    unit: str = ""
    """What its number counts: MiB, seconds, requests."""

    @property
    def option(self) -> str:
        """How it is written on the command line."""
        return "-f" if self.dest == "f" else "--" + self.dest.replace("_", "-")


class FlagError(HexfusionError):
    """The command line cannot be understood, or asks for what this server cannot do.

    `flag` is the flag as written, or `COMMANDLINE_ARGS`; `message` says what was expected.
    """

    def __init__(self, flag: str, message: str) -> None:
        super().__init__(f"{flag}: {message}")
        self.flag = flag
        self.message = message
