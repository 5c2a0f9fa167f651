"""Term lists for the CLIP interrogator, and the terms that match a picture best.

Source: spec images.md 12.1.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from hexfusion.domain.interrogation.settings import TermSettings

_TOP = re.compile(r"\.top(\d+)$")


class TermList(msgspec.Struct, frozen=True):
    """The terms of one category, of which the best `top` are added to a caption."""

    name: str
    terms: tuple[str, ...]
    top: int = 1


def term_list(name: str, text: str, settings: TermSettings) -> TermList | None:
    """Parse a term file called `name` (without extension); None if its category is skipped.

    `flavors.top3` is the category `flavors` with the best three terms used. Empty lines count as
    lines but are no terms (in A1111 they are).
    """
    top = _TOP.search(name)
    category = name[: top.start()] if top else name
    if name in settings.skip or category in settings.skip:
        return None
    lines = text.splitlines()[: settings.limit or None]
    terms = tuple(term for line in lines if (term := line.strip()))
    return TermList(category, terms, int(top[1]) if top else 1)


def best(terms: TermList, probabilities: Sequence[float]) -> list[tuple[str, float]]:
    """The best `terms.top` (term, probability) pairs, most probable first.

    `probabilities`, 0 to 1, has one entry for each of the terms.
    """
    pairs = zip(terms.terms, probabilities, strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])[: terms.top]


def with_matches(caption: str, matches: Iterable[tuple[str, float]], *, ranks: bool) -> str:
    """The caption followed by the terms, with `ranks` as `(term:probability)`.

    For example `a cat, oil on canvas` and `a cat, (oil on canvas:0.812)`.
    """
    for term, probability in matches:
        caption += f", ({term}:{probability:.3f})" if ranks else f", {term}"
    return caption
