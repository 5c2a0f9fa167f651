"""Port: interrogation (captions, terms and tags for a picture)."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.interrogation import CaptionSearch, TagScore


class Interrogator(Protocol):
    """Describes RGB pictures of any size. Thread-safe.

    Each method reports its progress to `advance`; after SKIP or INTERRUPT it returns what it has so
    far. Each raises `ModelUnavailable` if its network's file is missing (naming file and folder),
    `CheckpointError` if the network does not load, `NotANumber`.
    """

    def caption(self, picture: Image, search: CaptionSearch, advance: Advance = go_on) -> str:
        """A one-sentence caption, found by beam search with the given settings."""
        ...

    def rank(
        self, picture: Image, lists: Sequence[Sequence[str]], advance: Advance = go_on
    ) -> Iterator[Sequence[float]]:
        """For each list of terms, the probability of each term, 0 to 1 with sum 1.

        Results are yielded one list at a time; after a stop there are fewer than `lists`.
        """
        ...

    def tags(self, picture: Image, advance: Advance = go_on) -> Sequence[TagScore]:
        """All tags of the network with their probabilities, 0 to 1, in the network's order."""
        ...

    def release(self) -> None:
        """Free the networks' memory; networks in use are freed once they are no longer used."""
        ...
