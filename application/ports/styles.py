"""The styles people wrote down to use by name."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.prompts import Style


class StyleStore(Protocol):
    """Reads styles. Safe to call from many threads."""

    def styles(self) -> Sequence[Style]:
        """All of them, in the order of the files they come from."""
        ...
