"""Port: the store of the server's options."""

from collections.abc import Mapping
from typing import Protocol

from hexfusion.domain.options import Options


class OptionsStore(Protocol):
    """Persistent options. Thread-safe."""

    def snapshot(self) -> Options:
        """An immutable snapshot of the present options."""
        ...

    def update(self, changes: Mapping[str, object]) -> Options:
        """Store and save all `changes` or none; returns the new options.

        None resets a key to its default. Raises UnknownOption for an unknown key whose
        value is not None, and OptionError for a value of a wrong type.
        """
        ...
