"""Port: the store of term lists for the CLIP interrogator."""

from collections.abc import Mapping
from typing import Protocol


class TermStore(Protocol):
    """Reads term lists. Thread-safe."""

    def terms(self) -> Mapping[str, str]:
        """The text of each list, one term per line, by its file name without extension.

        Read at each call, ordered by name. Raises `CheckpointError` naming a file that is no UTF-8
        text.
        """
        ...
