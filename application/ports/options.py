"""Where the server's options live."""

from collections.abc import Mapping
from typing import Protocol

from hexfusion.domain.options import Options


class OptionsStore(Protocol):
    """Options that outlive the process. All methods may be called from many threads."""

    def snapshot(self) -> Options:
        """The options now. The snapshot never changes, whatever is updated later."""
        ...

    def update(self, changes: Mapping[str, object]) -> Options:
        """Store `changes` and save, all of them or none; return the new options.

        Null takes a key back to its default. Raises UnknownOption for a key that does not exist and
        is not null, and OptionError for a value of a wrong type.
        """
        ...
