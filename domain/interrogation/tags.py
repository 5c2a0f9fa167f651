"""Formats the tags that DeepDanbooru found in a picture. Source: spec images.md 12.2."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from hexfusion.domain.interrogation.settings import TagSettings

_RATING = "rating:"
_SPECIAL = re.compile(r"([\\()])")


class TagScore(msgspec.Struct, frozen=True):
    """A tag as the network names it, and its probability, 0 to 1."""

    tag: str
    probability: float


def tag_text(scores: Iterable[TagScore], settings: TagSettings) -> str:
    """The tags above the threshold, ordered and formatted for a prompt."""
    return ", ".join(_written(each, settings) for each in _chosen(scores, settings))


def _chosen(scores: Iterable[TagScore], settings: TagSettings) -> Iterator[TagScore]:
    probable = (each for each in scores if each.probability >= settings.threshold)
    if settings.alphabetical:
        ordered = sorted(probable, key=lambda each: each.tag)
    else:
        ordered = sorted(probable, key=lambda each: -each.probability)
    for each in ordered:
        if not each.tag.startswith(_RATING) and each.tag not in settings.drop:
            yield each


def _written(score: TagScore, settings: TagSettings) -> str:
    text = score.tag
    if settings.spaces:
        text = text.replace("_", " ")
    if settings.escape:
        text = _SPECIAL.sub(r"\\\1", text)
    return f"({text}:{score.probability:.3f})" if settings.ranks else text
