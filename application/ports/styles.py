"""Port: the store of prompt styles."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.prompts import Style


class StyleStore(Protocol):
    """Reads styles. Safe to call from many threads."""

    def styles(self) -> Sequence[Style]:
        """All styles, in the order of their files."""
        ...
