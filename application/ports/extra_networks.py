"""Port: the catalogue of extra networks (LoRA, hypernetworks, embeddings)."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.extra_networks import Embedding, Hypernetwork, Lora


class NetworkCatalog(Protocol):
    """Lists network files without loading the networks. Thread-safe.

    Files that cannot be read are left out. Of two files with the same name the later one replaces
    the earlier.
    """

    def loras(self) -> Sequence[Lora]:
        """All LoRAs in natural order of their paths, as of the last `refresh_loras`."""
        ...

    def refresh_loras(self) -> None:
        """Search the folders for LoRAs again."""
        ...

    def hash_lora(self, lora: Lora) -> Lora:
        """The LoRA with its hash, computed now if it was unknown; listed with it from then on.

        Raises `NotFound("LoRA", name)` when the file is gone.
        """
        ...

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        """All hypernetworks, ordered by path ignoring case; the folder is read at each call."""
        ...

    def embeddings(self) -> Sequence[Embedding]:
        """All embeddings in natural order of their paths.

        As of the last `refresh_embeddings`, or of the last file added to or removed from the
        folder.
        """
        ...

    def hash_embedding(self, embedding: Embedding) -> Embedding:
        """The embedding with its hash, computed now. Raises `NotFound("embedding", name)`."""
        ...

    def refresh_embeddings(self) -> None:
        """Search the folder for embeddings again."""
        ...

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        """Width of the checkpoint's token embeddings, None if its file does not tell.

        See `hexfusion.domain.extra_networks.text_width`.
        """
        ...
