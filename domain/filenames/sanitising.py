"""Replaces characters that file names cannot contain.

Source: spec prompts.md 9.3, last paragraph.
"""

import re

import msgspec

NAME_BYTES = 255
"""Longest file name that common file systems accept, in bytes of UTF-8."""

_EVERYWHERE = str.maketrans(dict.fromkeys('#<>:"/\\|?*\n\r\t', "_"))
_ON_UNIX = str.maketrans({"/": "_"})

# Separators of any system, control characters, and halves of surrogate pairs.
_NEVER = re.compile("[/\\\\\x00-\x1f\x7f\ud800-\udfff]")


class NameRules(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's rules for file names.

    `max_length` (`--filenames-max-length`) is the longest text of one token, in characters. With
    `unix` (`--unix-filenames-sanitization`) only slashes are replaced.
    """

    max_length: int = 128
    unix: bool = False


DEFAULT_RULES = NameRules()


def sanitise(text: str, rules: NameRules, *, underscores: bool = False) -> str:
    """The text of a token with forbidden characters replaced by `_`, cut to the rules' length.

    With `underscores` spaces are replaced too.
    """
    if underscores:
        text = text.replace(" ", "_")
    text = text.translate(_ON_UNIX if rules.unix else _EVERYWHERE)
    return text.lstrip(" ")[: rules.max_length].rstrip(" .")


def component(text: str, reserve: int = 0) -> str:
    """The text as one path component: no separators, at most 255 - `reserve` bytes of UTF-8."""
    return cut(_NEVER.sub("_", text), NAME_BYTES - reserve)


def cut(text: str, limit: int) -> str:
    """The longest prefix of the text that has at most `limit` bytes in UTF-8."""
    return text.encode()[: max(limit, 0)].decode(errors="ignore")
