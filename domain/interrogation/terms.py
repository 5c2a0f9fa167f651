"""Lists of terms, and those that fit a picture best. Source: spec images.md 12.1."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from hexfusion.domain.interrogation.settings import TermSettings

_TOP = re.compile(r"\.top(\d+)$")


class TermList(msgspec.Struct, frozen=True):
    """Terms of one category, of which the `top` best are told."""

    name: str
    terms: tuple[str, ...]
    top: int = 1


def term_list(name: str, text: str, settings: TermSettings) -> TermList | None:
    """What a file holds whose name, without ending, is `name`; None if it is to be skipped.

    `flavors.top3` has the category `flavors`, of which three are told. Empty lines, which A1111
    takes for terms, are passed over, but count as lines.
    """
    top = _TOP.search(name)
    category = name[: top.start()] if top else name
    if name in settings.skip or category in settings.skip:
        return None
    lines = text.splitlines()[: settings.limit or None]
    terms = tuple(term for line in lines if (term := line.strip()))
    return TermList(category, terms, int(top[1]) if top else 1)


def best(terms: TermList, probabilities: Sequence[float]) -> list[tuple[str, float]]:
    """The terms that fit best, in that order, with their probability, 0 to 1."""
    pairs = zip(terms.terms, probabilities, strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])[: terms.top]


def with_matches(caption: str, matches: Iterable[tuple[str, float]], *, ranks: bool) -> str:
    """The caption, and after commas the terms: `a cat, oil on canvas, (by Rembrandt:0.812)`."""
    for term, probability in matches:
        caption += f", ({term}:{probability:.3f})" if ranks else f", {term}"
    return caption
