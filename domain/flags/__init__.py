"""Command-line flags: A1111's, and those that only Hexfusion has (spec api.md 1)."""

from hexfusion.domain.flags.a1111 import A1111
from hexfusion.domain.flags.command_line import command_line
from hexfusion.domain.flags.flag import Flag, FlagEffect, FlagError, FlagKind, FlagValue
from hexfusion.domain.flags.flags import FLAGS, Flags
from hexfusion.domain.flags.help import help_text
from hexfusion.domain.flags.keywords import Setting, arguments
from hexfusion.domain.flags.limits import LIMITS
from hexfusion.domain.flags.own import OWN
from hexfusion.domain.flags.parsing import parse_flags

__all__ = [
    "A1111",
    "FLAGS",
    "LIMITS",
    "OWN",
    "Flag",
    "FlagEffect",
    "FlagError",
    "FlagKind",
    "FlagValue",
    "Flags",
    "Setting",
    "arguments",
    "command_line",
    "help_text",
    "parse_flags",
]
