"""The small networks there are: LoRA, hypernetworks, embeddings."""

from collections.abc import Sequence
from typing import Protocol

from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.extra_networks import Embedding, Hypernetwork, Lora


class NetworkCatalog(Protocol):
    """Lists networks by their files, without loading them. Safe to call from many threads.

    A file that cannot be read for what it should be is left out. Of two files with one name the
    later takes the earlier's place.
    """

    def loras(self) -> Sequence[Lora]:
        """In natural order of their paths, as of the last `refresh_loras`."""
        ...

    def refresh_loras(self) -> None:
        """Look again."""
        ...

    def hash_lora(self, lora: Lora) -> Lora:
        """The same with its hash, computed now if it was unknown; the list shows it from then on.

        Raises `NotFound("LoRA", name)` when the file is gone.
        """
        ...

    def hypernetworks(self) -> Sequence[Hypernetwork]:
        """By path, capitals or not, as they are now."""
        ...

    def embeddings(self) -> Sequence[Embedding]:
        """In natural order of their paths, as of the last `refresh_embeddings` or since a file came
        to the folder or left it."""
        ...

    def hash_embedding(self, embedding: Embedding) -> Embedding:
        """The same with its hash, computed now. Raises `NotFound("embedding", name)`."""
        ...

    def refresh_embeddings(self) -> None:
        """Look again."""
        ...

    def text_width(self, checkpoint: Checkpoint) -> int | None:
        """The width of the checkpoint's token embeddings, None where its file does not tell."""
        ...
