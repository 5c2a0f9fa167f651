"""Folder, name and number of a file. Source: spec prompts.md 9.2.

Nothing here leads out of the folder it is given: a name is one part of a path, and a sub-folder
that climbs is refused.
"""

import re
from collections.abc import Iterable

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.filenames.name_facts import NameFacts
from hexfusion.domain.filenames.pattern import expand
from hexfusion.domain.filenames.sanitising import NAME_BYTES, NameRules, component, cut

#: Longer patterns are refused: no name has room for what they say.
MAX_PATTERN = 4096

_DIGITS = 20  # as many as a seed may have, which names the file where numbers are off
_SIDECAR = ".txt"  # and .jpg, of a copy: they take the picture's name


def sub_folder(pattern: str, facts: NameFacts, rules: NameRules) -> str:
    """The folder below the output folder, `/` between its parts; empty for none.

    An empty pattern means `[prompt_words]`. Both kinds of slash part folders. Raises InvalidRequest
    for a pattern that leads upwards or is over 4096 characters long.
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
    """What a name says of its picture; empty where that is nothing but dots.

    An empty pattern means `[seed]`, and outside of sub-folders `[seed]-[prompt_spaces]`. Raises
    InvalidRequest for a pattern over 4096 characters long.
    """
    default = "[seed]" if in_folders else "[seed]-[prompt_spaces]"
    pattern = _checked("samples_filename_pattern", pattern) or default
    text = expand(pattern, facts, rules) + suffix
    return component(text) if text.strip(" .") else ""


def numbered(number: int, decoration: str = "", basename: str = "") -> str:
    """A stem with its running number: `00012-decoration`, after a basename `grid-0012`."""
    stem = f"{basename}-{number:04}" if basename else f"{number:05}"
    return f"{stem}-{decoration}" if decoration else stem


def next_number(entries: Iterable[str], basename: str = "") -> int:
    """One more than the largest number that a folder's entries, files and folders, begin with.

    The number stands after `basename-` if there is a basename, and before the first dash. One of
    more than 20 digits is none: no name would have room for what follows it.
    """
    prefix = f"{basename}-" if basename else ""
    numbers = [
        _leading_number(entry.removeprefix(prefix)) for entry in entries if entry.startswith(prefix)
    ]
    return max(numbers, default=-1) + 1


def file_name(stem: str, extension: str, tail: str = "") -> str:
    """The name of a file: the stem, cut so that the whole fits any file system, tail, extension.

    `tail` (such as `-1`) is never cut; `extension` comes without its dot. A text file of the same
    stem fits as well. A1111 cuts the whole path as if it were a name.
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
