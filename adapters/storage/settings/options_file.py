"""Store of options in A1111's settings file, `config.json` (spec api.md 13).

The file is one JSON object of option keys and values. It may have been written by A1111, so unknown
keys and values are preserved.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.domain.errors import OptionError
from hexfusion.domain.options import SIZE, Options, find_option, judge_size

_log = logging.getLogger("hexfusion.options")


class FileOptions:
    """An `OptionsStore` over a settings file, which need not exist yet.

    A file that cannot be read is renamed, and the store starts with defaults. `problems` lists that
    and every value that could not be used; they are logged too.
    """

    def __init__(self, path: Path, *, limit: int = SIZE) -> None:
        """`limit` is how many bytes all stored options may take, those of others' keys apart."""
        self._limit = limit
        # Follow a link now, so that saving replaces the file and not the link.
        self._path = Path(os.path.realpath(path))
        self._lock = threading.Lock()
        self._content, problems = _read(self._path)
        self._options, unusable = _usable(self._content, self._path)
        self.problems: tuple[str, ...] = (*problems, *unusable)
        for problem in self.problems:
            _log.warning(problem)

    def snapshot(self) -> Options:
        return self._options

    def update(self, changes: Mapping[str, object]) -> Options:
        """See `OptionsStore.update`. Raises OSError if the file cannot be written; then nothing
        changes."""
        with self._lock:
            options = self._options.updated(changes)
            judge_size(self._options.stored, options.stored, self._limit)
            content = dict(self._content)
            for option in filter(None, map(find_option, changes)):
                if option.key in options.stored:
                    content[option.key] = options.stored[option.key]
                elif not option.unstorable:
                    content.pop(option.key, None)
            write_atomically(self._path, _encoded(content))
            self._content, self._options = content, options
            return options


def _encoded(content: Mapping[str, object]) -> bytes:
    text = json.dumps(content, indent=4, ensure_ascii=False)
    # A lone surrogate in a foreign key has no UTF-8; its backslash escape is its JSON escape.
    return text.encode("utf-8", "backslashreplace")


def _read(path: Path) -> tuple[dict[str, object], list[str]]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{path} cannot be read ({error}); {_set_aside(path)}; starting with defaults"]
    return content, []


def _set_aside(path: Path) -> str:
    """Rename an unreadable file, so that saving does not overwrite it; returns where it is."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.unreadable-{number}")):
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        return f"it could not be moved aside ({error})"
    return f"it is kept as {aside.name}"


def _usable(content: Mapping[str, object], path: Path) -> tuple[Options, list[str]]:
    """(options that are known and admitted, messages about values that are not)."""
    known = {key: value for key, value in content.items() if find_option(key) is not None}
    problems: list[str] = []
    while True:
        try:
            return Options(known), problems
        except OptionError as error:
            problems.append(f"{path}: {error}; using the default")
            known = {key: value for key, value in known.items() if _own(key) != error.key}


def _own(key: str) -> str:
    """The key of the option that is meant, which may be an alias's."""
    option = find_option(key)
    return option.key if option else key
