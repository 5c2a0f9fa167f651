"""The interrogation port: a picture goes in, words come out."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.interrogation import CaptionSearch, TagScore


class Interrogator(Protocol):
    """Finds words for RGB pictures of any size. Safe to call from many threads at once.

    Each method tells `advance` how far it is; after SKIP or INTERRUPT it answers with what it has.
    Each raises `ModelUnavailable`, naming the file to put where, without a network for it,
    `CheckpointError` for one that does not load, `NotANumber`.
    """

    def caption(self, picture: Image, search: CaptionSearch, advance: Advance = go_on) -> str:
        """What the picture shows, in a sentence."""
        ...

    def rank(
        self, picture: Image, lists: Sequence[Sequence[str]], advance: Advance = go_on
    ) -> Iterator[Sequence[float]]:
        """For each list how well its terms fit the picture: probabilities, together 1.

        They come as they are found. After a stop there are fewer than lists.
        """
        ...

    def tags(self, picture: Image, advance: Advance = go_on) -> Sequence[TagScore]:
        """All tags that the network knows, each with its probability, 0 to 1, in its own order."""
        ...

    def release(self) -> None:
        """Give the device's memory back. What is in use stays until it is not."""
        ...
