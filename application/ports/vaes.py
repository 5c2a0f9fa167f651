"""Port: the catalogue of VAE files."""

from collections.abc import Collection, Sequence
from typing import Protocol

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.vaes import VaeFile


class VaeCatalog(Protocol):
    """Lists separate VAE files. Thread-safe."""

    def vaes(self) -> Sequence[VaeFile]:
        """All VAEs, each name once, in display order, as of the last refresh."""
        ...

    def refresh(self) -> None:
        """Search the folders again."""
        ...

    def hash(self, vae: VaeFile) -> VaeFile:
        """The VAE with the sha256 of the present content of its file.

        Raises `NotFound("VAE", name)` when the file is gone.
        """
        ...

    def own_halves(self, checkpoint: Checkpoint) -> Collection[str] | None:
        """Which halves of a VAE, "encoder" and "decoder", the checkpoint's file holds tensors of.

        None where the file does not tell without being loaded.
        """
        ...

    def preference(self, checkpoint: Checkpoint) -> str | None:
        """The VAE in the checkpoint's user metadata: a file name, "None" or "Automatic".

        None if the metadata has none. A file with this name need not exist.
        """
        ...
