"""Store of term lists in text files. Source: spec images.md 12.1."""

from collections.abc import Mapping
from pathlib import Path

from hexfusion.domain.errors import CheckpointError


class FileTerms:
    """A `TermStore` over the `.txt` files of a folder, which need not exist; sub-folders are not
    read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def terms(self) -> Mapping[str, str]:
        """See `TermStore.terms`."""
        files = sorted(self._folder.glob("*.txt"), key=lambda path: path.stem)
        return {path.stem: _text(path) for path in files if path.is_file()}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(str(path), f"is no list of terms: {error}") from error
