"""Text that may stand in a file name. Source: spec prompts.md 9.3, last paragraph."""

import re

import msgspec

NAME_BYTES = 255
"""The longest name that common file systems keep, in bytes of UTF-8."""

_EVERYWHERE = str.maketrans(dict.fromkeys('#<>:"/\\|?*\n\r\t', "_"))
_ON_UNIX = str.maketrans({"/": "_"})

# Separators of any system, control characters, and halves of surrogate pairs.
_NEVER = re.compile("[/\\\\\x00-\x1f\x7f\ud800-\udfff]")


class NameRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows in names.

    `max_length` (`--filenames-max-length`) is in characters and holds for each token's text.
    `unix` (`--unix-filenames-sanitization`) keeps everything but slashes.
    """

    max_length: int = 128
    unix: bool = False


DEFAULT_RULES = NameRules()


def sanitise(text: str, rules: NameRules, *, underscores: bool = False) -> str:
    """A token's text, fit for a file name; `underscores` take the places of spaces."""
    if underscores:
        text = text.replace(" ", "_")
    text = text.translate(_ON_UNIX if rules.unix else _EVERYWHERE)
    return text.lstrip(" ")[: rules.max_length].rstrip(" .")


def component(text: str, reserve: int = 0) -> str:
    """One part of a path: no separator in it, and `reserve` bytes below the longest name."""
    return cut(_NEVER.sub("_", text), NAME_BYTES - reserve)


def cut(text: str, limit: int) -> str:
    """The longest start of the text that fits into `limit` bytes of UTF-8."""
    return text.encode()[: max(limit, 0)].decode(errors="ignore")
