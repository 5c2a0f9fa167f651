"""Store of term lists in text files. Source: spec images.md 12.1."""

from collections.abc import Mapping
from pathlib import Path

from hexfusion.adapters.storage.folders import files_in
from hexfusion.domain.errors import CheckpointError


class FileTerms:
    """A `TermStore` over the `.txt` files of a folder, which need not exist; sub-folders are not
    read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def terms(self) -> Mapping[str, str]:
        """See `TermStore.terms`."""
        files = sorted(files_in(self._folder, "*.txt"), key=lambda path: path.stem)
        return {path.stem: _text(path) for path in files}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(str(path), f"is no list of terms: {error}") from error
