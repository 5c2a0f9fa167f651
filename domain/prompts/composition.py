"""Composable prompts: `a cat :1.2 AND a dog`, several prompts that guide one picture.

Source: spec prompts.md section 3. Positive prompts only; brackets have no effect on AND.
"""

import re
from collections.abc import Sequence
from math import isfinite

import msgspec

from hexfusion.domain.errors import InvalidRequest

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[+-]?(?:\d+\.?|\d*\.\d+)")


class SubPrompt(msgspec.Struct, frozen=True):
    """One prompt of a composition; `weight` scales its guidance (finite, may be 0 or negative)."""

    text: str
    weight: float = 1.0


class TextUse(msgspec.Struct, frozen=True):
    """A use of text number `index` of a Composition, with `weight`."""

    index: int
    weight: float = 1.0


class Composition(msgspec.Struct, frozen=True):
    """A batch of prompts split at AND; equal texts are stored (and encoded) once.

    `uses[i]` lists the weighted texts of prompt `i` of the batch; it is never empty.
    """

    texts: tuple[str, ...]
    uses: tuple[tuple[TextUse, ...], ...]


def split_and(prompt: str, field: str = "prompt") -> tuple[SubPrompt, ...]:
    """Split at every whole word AND; a `:number` that ends a part is that part's weight.

    A prompt without AND is one part, and can have such a weight too: `12:30` is `12`, 30 times.
    Raises InvalidRequest, naming `field`, for a weight that overflows.
    """
    return tuple(_part(text, field) for text in _AND.split(prompt))


def compose(prompts: Sequence[str], field: str = "prompt") -> Composition:
    """Split every prompt of a batch, and number the different texts in order of appearance."""
    numbers: dict[str, int] = {}
    uses = tuple(
        tuple(
            TextUse(numbers.setdefault(part.text, len(numbers)), part.weight)
            for part in split_and(prompt, field)
        )
        for prompt in prompts
    )
    return Composition(tuple(numbers), uses)


def _part(text: str, field: str) -> SubPrompt:
    head, _, number = text.rpartition(":")
    if not _WEIGHT.fullmatch(number.strip()) or ":" not in text:
        return SubPrompt(text.rstrip())
    weight = float(number)
    if not isfinite(weight):
        raise InvalidRequest(field, "the weight of a part between ANDs is too large")
    return SubPrompt(head.rstrip(), weight)
