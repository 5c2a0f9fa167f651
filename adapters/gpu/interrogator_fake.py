"""A fake interrogator without torch, for tests and for trying out clients."""

from collections.abc import Iterator, Sequence

from PIL.Image import Image, Resampling

from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.interrogation import CaptionSearch, TagScore

_COLOURS = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "gray": (128, 128, 128),
    "green": (0, 128, 0),
    "red": (255, 0, 0),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}
_FURTHEST = 3 * 255**2


class FakeInterrogator:
    """Describes a picture by its mean colour; fulfils the port's contract."""

    def caption(self, picture: Image, search: CaptionSearch, advance: Advance = go_on) -> str:
        """See `Interrogator.caption`."""
        advance(1, 1)
        nearest = max(_scores(picture), key=lambda score: score.probability)
        return f"a {nearest.tag} picture"

    def rank(
        self, picture: Image, lists: Sequence[Sequence[str]], advance: Advance = go_on
    ) -> Iterator[Sequence[float]]:
        """See `Interrogator.rank`. A term is as probable as the colours that it names."""
        near = {score.tag: score.probability for score in _scores(picture)}
        for number, terms in enumerate(lists):
            fits = [1 + sum(near.get(word, 0.0) for word in term.split()) for term in terms]
            if advance(number + 1, len(lists)) is not Verdict.CONTINUE:
                return
            yield [each / sum(fits) for each in fits]

    def tags(self, picture: Image, advance: Advance = go_on) -> Sequence[TagScore]:
        """See `Interrogator.tags`."""
        advance(1, 1)
        return [*_scores(picture), TagScore("rating:safe", 1.0)]

    def release(self) -> None:
        """See `Interrogator.release`: it holds nothing."""


def _scores(picture: Image) -> list[TagScore]:
    """Similarity, 0 to 1, of the mean colour to each known colour."""
    pixel = picture.convert("RGB").resize((1, 1), Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    distance = {
        name: sum((a - b) ** 2 for a, b in zip(pixel, colour, strict=True)) / _FURTHEST
        for name, colour in _COLOURS.items()
    }
    return [TagScore(name, round(1 - far, 6)) for name, far in distance.items()]
