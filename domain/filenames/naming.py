"""Folder, name and running number of a saved file. Source: spec prompts.md 9.2.

No result leads out of the output folder: a name is a single path component, and a sub-folder with
`..` is refused.
"""

import re
from collections.abc import Iterable

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.filenames.name_facts import NameFacts
from hexfusion.domain.filenames.pattern import expand
from hexfusion.domain.filenames.sanitising import NAME_BYTES, NameRules, component, cut

#: Longest pattern accepted, in characters; no file name has room for more.
MAX_PATTERN = 4096

_DIGITS = 20  # of the longest seed, which is the name where running numbers are off
_SIDECAR = ".txt"  # a text file, or a .jpg copy, has the same stem as the picture


def sub_folder(pattern: str, facts: NameFacts, rules: NameRules) -> str:
    """The sub-folder of the output folder, with `/` as separator; empty for none.

    An empty pattern means `[prompt_words]`. Both kinds of slash separate folders. Raises
    InvalidRequest for a pattern with a `..` component or over 4096 characters long.
    """
    field = "directories_filename_pattern"
    text = expand(_checked(field, pattern) or "[prompt_words]", facts, rules)
    parts = [
        part for part in re.split(r"[/\\]", text.strip(" ")) if part.strip(" ") not in ("", ".")
    ]
    if any(part.strip(" ") == ".." for part in parts):
        raise InvalidRequest(field, f"{text!r} leads out of the output folder")
    return "/".join(component(part) for part in parts)


def decoration(
    pattern: str, facts: NameFacts, rules: NameRules, *, in_folders: bool, suffix: str = ""
) -> str:
    """The descriptive part of a file name; empty if only dots and spaces are left of it.

    An empty pattern means `[seed]`, and outside of sub-folders `[seed]-[prompt_spaces]`. Raises
    InvalidRequest for a pattern over 4096 characters long.
    """
    default = "[seed]" if in_folders else "[seed]-[prompt_spaces]"
    pattern = _checked("samples_filename_pattern", pattern) or default
    text = expand(pattern, facts, rules) + suffix
    return component(text) if text.strip(" .") else ""


def numbered(number: int, decoration: str = "", basename: str = "") -> str:
    """A stem with its running number: `00012-decoration`, or `grid-0012` with basename `grid`."""
    stem = f"{basename}-{number:04}" if basename else f"{number:05}"
    return f"{stem}-{decoration}" if decoration else stem


def next_number(entries: Iterable[str], basename: str = "") -> int:
    """One more than the largest running number among the entries (files and folders) of a folder.

    The number is expected at the start of a name, or after `basename-`, and ends at the first dash.
    Numbers of more than 20 digits are ignored.
    """
    prefix = f"{basename}-" if basename else ""
    numbers = [
        _leading_number(entry.removeprefix(prefix)) for entry in entries if entry.startswith(prefix)
    ]
    return max(numbers, default=-1) + 1


def file_name(stem: str, extension: str, tail: str = "") -> str:
    """`stem` + `tail` + `.extension`, with the stem cut so that the name has at most 255 bytes.

    `tail` (such as `-1`) is never cut; `extension` is given without its dot. A `.txt` file with the
    same stem fits as well. A1111 instead applies the limit to the whole path.
    """
    room = max(len(extension) + 1, len(_SIDECAR)) + len(tail)
    return f"{cut(component(stem), NAME_BYTES - room)}{tail}.{extension}"


def _leading_number(name: str) -> int:
    stem, dot, _ = name.rpartition(".")
    text = (stem if dot and stem else name).partition("-")[0]
    try:
        return int(text) if len(text) <= _DIGITS else -1
    except ValueError:
        return -1


def _checked(field: str, pattern: str) -> str:
    if len(pattern) > MAX_PATTERN:
        raise InvalidRequest(field, f"has at most {MAX_PATTERN} characters, not {len(pattern)}")
    return pattern
