"""One command-line flag: its name, its kind, its default, and what it does here."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from hexfusion.domain.errors import HexfusionError

FlagValue = bool | int | str | tuple[str, ...] | Mapping[str, object] | None
"""What a flag holds. Lists are tuples, so that nobody changes them later."""


class FlagKind(Enum):
    """How a flag is written and read."""

    SWITCH = "switch"  # no value; turns its default round (null counts as true)
    TEXT = "text"
    INTEGER = "integer"
    PATH = "path"  # made absolute
    PATHS = "paths"  # may be given again, each adds a path
    WORDS = "words"  # one or more, up to the next flag; lower case
    OBJECT = "object"  # a JSON object


class FlagEffect(Enum):
    """What a flag does in this server."""

    WORKS = "works"
    GRANTED = "granted"  # what it asks for is always so here
    NONE = "none"  # read, and said at start to be without effect


class Flag(msgspec.Struct, frozen=True):
    """An entry of the table.

    `default` of a path may start with `{data}` or `{models}`: the data and the models folder.
    """

    dest: str
    """The member of `GET /cmd-flags`, and with dashes for underscores the flag itself."""
    kind: FlagKind = FlagKind.SWITCH
    default: FlagValue = False
    help: str = ""
    effect: FlagEffect = FlagEffect.NONE
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    secret: bool = False
    """Never shown to clients."""

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
