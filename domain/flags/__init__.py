"""The command line: A1111's flags and a few of our own (spec api.md 1)."""

from domain.flags.a1111 import A1111
from domain.flags.flag import Effect, Flag, FlagError, FlagValue, Kind
from domain.flags.flags import FLAGS, Flags
from domain.flags.help import help_text
from domain.flags.own import OWN
from domain.flags.parsing import parse_flags
from domain.flags.spoken import command_line

__all__ = [
    "A1111",
    "FLAGS",
    "OWN",
    "Effect",
    "Flag",
    "FlagError",
    "FlagValue",
    "Flags",
    "Kind",
    "command_line",
    "help_text",
    "parse_flags",
]
