"""Attention (emphasis) syntax: `(more)`, `[less]`, `(this much:1.3)`, `BREAK`.

Source: spec prompts.md section 1. The parser expects text in which prompt editing has already
been resolved (`hexfusion.domain.prompts.schedule`).
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from math import isfinite

import msgspec

from hexfusion.domain.errors import InvalidRequest

ROUND = 1.1
SQUARE = 1 / 1.1

_BREAK_WEIGHT = -1.0
_MOST_WORK = 5_000_000  # multiplications, about half a second
_NOTHING = "(\\:1.0)"  # an empty piece of weight 1: a dropped backslash inside numbered brackets

_BREAK = re.compile(r"\bBREAK\b")
_SPECIAL = re.compile(r"[\\()\[\]]")
_TOKEN = re.compile(
    r"""
      \\ (?P<escaped> [\\()\[\]] )
    | (?P<lone> \\ )
    | (?P<open> [(\[] )
    | : \s* (?P<weight> [+-]? [.\d]+ ) \s* \)
    | (?P<close> [)\]] )
    | [^\\()\[\]:]+
    | :
    """,
    re.VERBOSE,
)


class Span(msgspec.Struct, frozen=True):
    """A run of text whose tokens share one weight (finite; 1.0 is neutral, may be 0 or negative).

    A chunk break is the span `("BREAK", -1.0)`.
    """

    text: str
    weight: float = 1.0

    @property
    def is_break(self) -> bool:
        """True for a chunk break; false for a BREAK that brackets gave another weight."""
        return self.text == "BREAK" and self.weight == _BREAK_WEIGHT


def parse_attention(text: str, field: str = "prompt") -> list[Span]:
    """Split text into spans of equal weight, brackets and escapes removed; never empty.

    `field` names the request field in errors.
    Raises InvalidRequest for a weight that is not a number (`(a:1.2.3)`) or not finite, and for
    brackets nested so deep in so long a text that weighing them would take seconds.
    """
    pieces: list[str] = []
    weights: list[float] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}  # where each open bracket's text begins
    work = 0

    def append(piece: str, weight: float = 1.0) -> None:
        pieces.append(piece)
        weights.append(weight)

    def scale_from(start: int, factor: float) -> None:
        # Factors must meet each piece in the order the brackets close: rounding depends on it.
        nonlocal work
        work += len(weights) - start
        if work > _MOST_WORK:
            raise InvalidRequest(field, "brackets are nested too deep for a text this long")
        weights[start:] = [weight * factor for weight in weights[start:]]

    for token in _TOKEN.finditer(text):
        lexeme = token.group()
        if token["escaped"]:
            append(token["escaped"])
        elif token["lone"]:
            append("")
        elif token["open"]:
            opened[lexeme].append(len(pieces))
        elif token["weight"] and opened["("]:
            scale_from(opened["("].pop(), _number(token["weight"], lexeme, field))
        elif lexeme == ")" and opened["("]:
            scale_from(opened["("].pop(), ROUND)
        elif lexeme == "]" and opened["["]:
            scale_from(opened["["].pop(), SQUARE)
        else:
            for i, part in enumerate(_split_at_breaks(lexeme)):
                if i:
                    append("BREAK", _BREAK_WEIGHT)
                append(part)

    for start in opened["("]:
        scale_from(start, ROUND)
    for start in opened["["]:
        scale_from(start, SQUARE)

    if not all(map(isfinite, weights)):
        raise InvalidRequest(field, "attention weights are too large: their product is not finite")
    return _merge(pieces, weights) or [Span("")]


def uses_emphasis(spans: Sequence[Span]) -> bool:
    """True if any span, chunk breaks aside, has a weight other than 1."""
    return any(span.weight != 1.0 and not span.is_break for span in spans)


def unparse(spans: Sequence[Span]) -> str:
    """Write text that `parse_attention` reads as these spans.

    Holds for whatever `parse_attention` can return: neighbours of unequal weight, a span of
    weight 1 on each side of a break.
    """
    out: list[str] = []
    for i, span in enumerate(spans):
        if span.is_break:
            before = spans[i - 1].text if i else ""
            after = spans[i + 1].text if i + 1 < len(spans) else ""
            # A break swallows the white space around it, unless something stands between.
            out.append(_NOTHING if before[-1:].isspace() else " ")
            out.append("BREAK")
            out.append(_NOTHING if after[:1].isspace() else " ")
        elif span.weight != 1.0:
            number = format(Decimal(repr(span.weight)), "f")  # the syntax knows no exponents
            out.append(f"({_escape(span.text) or chr(92)}:{number})")
        else:
            out.append(_escape(span.text) or _NOTHING)
    return "".join(out)


def _escape(text: str) -> str:
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    return _BREAK.sub(r"B\\REAK", escaped)  # a lone backslash vanishes, and hides the word


def _split_at_breaks(lexeme: str) -> list[str]:
    parts = _BREAK.split(lexeme)
    last = len(parts) - 1
    for i, part in enumerate(parts):
        if i < last:
            part = part.rstrip()
        if i > 0:
            part = part.lstrip()
        parts[i] = part
    return parts


def _number(text: str, lexeme: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest(field, f"{lexeme!r} gives a weight that is not a number") from None


def _merge(pieces: list[str], weights: list[float]) -> list[Span]:
    runs: list[tuple[list[str], float]] = []
    for piece, weight in zip(pieces, weights, strict=True):
        if runs and runs[-1][1] == weight:
            runs[-1][0].append(piece)
        else:
            runs.append(([piece], weight))
    return [Span("".join(texts), weight) for texts, weight in runs]
