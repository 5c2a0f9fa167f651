"""Port: the catalogue of checkpoints."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.checkpoints import Checkpoint


class ModelCatalog(Protocol):
    """Lists checkpoints and finds one by any of its names. Safe to call from many threads."""

    def checkpoints(self) -> Sequence[Checkpoint]:
        """All checkpoints in display order, as of the last refresh."""
        ...

    def refresh(self, *, hidden: bool = True) -> None:
        """Search the folders again. `hidden` False leaves out folders whose name starts with a
        dot."""
        ...

    def resolve(self, name: str) -> Checkpoint:
        """The checkpoint with exact alias `name`. Raises `NotFound("checkpoint", name)`."""
        ...

    def hash(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same checkpoint with its sha256, computed now if it was unknown.

        The list shows the new title from then on, at the same place.
        Raises `NotFound("checkpoint", name)` when the file is gone.
        """
        ...
