"""The VAE files there are."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.vaes import VaeFile


class VaeCatalog(Protocol):
    """Lists VAEs that lie in files of their own. Safe to call from many threads."""

    def vaes(self) -> Sequence[VaeFile]:
        """All of them, each name once, in the order they are shown; as of the last refresh."""
        ...

    def refresh(self) -> None:
        """Look again."""
        ...

    def hash(self, vae: VaeFile) -> VaeFile:
        """The same VAE with its sha256, that of the file as it is now.

        Raises `NotFound("VAE", name)` when the file is gone.
        """
        ...

    def preference(self, checkpoint: Checkpoint) -> str | None:
        """What the user noted beside the checkpoint: a VAE's name, "None" or "Automatic".

        None without such a note. Nothing says that there is a VAE of that name.
        """
        ...
