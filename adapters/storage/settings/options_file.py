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
from hexfusion.domain.options import Options, find_option

_log = logging.getLogger("hexfusion.options")


class FileOptions:
    """An `OptionsStore` over a settings file, which need not exist yet.

    A file that cannot be read is renamed, and the store starts with defaults. `problems` lists that
    and every value that could not be used; they are logged too.
    """

    def __init__(self, path: Path) -> None:
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
            content = dict(self._content)
            for key in changes:
                option = find_option(key)
                if key in options.stored:
                    content[key] = options.stored[key]
                elif option is not None and not option.explanation:
                    content.pop(key, None)
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
    """(options that are known and of the right type, messages about values of wrong types)."""
    options, problems = Options(), []
    for key, value in content.items():
        if find_option(key) is not None:
            try:
                options = options.updated({key: value})
            except OptionError as error:
                problems.append(f"{path}: {error}; using the default")
    return options, problems
