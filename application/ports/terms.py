"""Lists of terms that people keep to have pictures compared with."""

from collections.abc import Mapping
from typing import Protocol


class TermStore(Protocol):
    """Reads the lists. Safe to call from many threads."""

    def terms(self) -> Mapping[str, str]:
        """Each list's text, a term a line, by its file's name without ending; as they are now,
        in the order of the names. Raises `CheckpointError` naming a file that is no UTF-8 text.
        """
        ...
