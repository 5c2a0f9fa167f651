"""Store of styles in A1111's CSV files, read once at start. Source: spec prompts.md 4.2."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from hexfusion.adapters.storage.folders import files_in
from hexfusion.domain.prompts import Style, divider, parse_styles
from hexfusion.domain.prompts.styles import StyleFileError

log = logging.getLogger(__name__)


class FileStyles:
    """A `StyleStore` over files; file names may contain `*` and `?`.

    With more than one file, a divider precedes the styles of each. A file that cannot be read is
    logged and left out.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        found = list(_expanded(files))
        self._styles: list[Style] = []
        for path in found:
            styles = _read(path)
            if len(found) > 1:
                self._styles.append(divider(path.stem))
            self._styles += styles

    def styles(self) -> Sequence[Style]:
        return self._styles


def _expanded(files: Sequence[Path]) -> Iterable[Path]:
    for path in files:
        if any(sign in path.name for sign in "*?"):
            yield from files_in(path.parent, path.name)
        elif path.is_file():
            yield path


def _read(path: Path) -> Sequence[Style]:
    try:
        return parse_styles(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, StyleFileError) as error:
        log.warning("styles file %s is left out: %s", path, error)
        return ()
