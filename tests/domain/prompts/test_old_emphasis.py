"""Spec prompts.md 5.5, option use_old_emphasis_implementation. That a recorded picture agrees is in
tests/adapters/gpu/torch_backend/test_checkpoint.
"""

import re

import pytest

from hexfusion.domain.prompts import OPEN_CLIP
from hexfusion.domain.prompts.old_emphasis import chunk_by_old_emphasis

WORDS: list[str] = []


def tokenize(texts: list[str]) -> list[list[int]]:
    """Runs of letters or of other signs, numbered from 1 as they come up; no idea of brackets."""
    return [[_number(word) for word in re.findall(r"\w+|[^\w\s]+", text)] for text in texts]


def _number(word: str) -> int:
    if word not in WORDS:
        WORDS.append(word)
    return WORDS.index(word) + 1


def weighted(text: str) -> list[tuple[str, float]]:
    tokenize([text])
    brackets = {_number(word): word for word in WORDS if set(word) & set("()[]")}
    (chunk,) = chunk_by_old_emphasis(text, tokenize, brackets).chunks
    assert (chunk.tokens[0], chunk.multipliers[0]) == (49406, 1.0)
    assert set(chunk.multipliers[1 + chunk.token_count :]) == {1.0}
    assert set(chunk.tokens[1 + chunk.token_count :]) == {49407}
    pairs = zip(chunk.tokens[1:], chunk.multipliers[1:], strict=True)
    return [(WORDS[token - 1], weight) for token, weight in list(pairs)[: chunk.token_count]]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a (b) c", [("a", 1), ("b", 1.1), ("c", 1)]),
        ("a [b] c", [("a", 1), ("b", 1 / 1.1), ("c", 1)]),
        ("((a)) b", [("a", 1.21), ("b", 1)]),
        ("(a b", [("a", 1.1), ("b", 1.1)]),  # nothing closes by itself
        ("a) b", [("a", 1), ("b", 1 / 1.1)]),  # nor needs to be open
        ("a] b", [("a", 1), ("b", 1.1)]),
        ("(a], b", [("a", 1.1), ("b", 1.21)]),  # the comma is dropped with its bracket
        ("(a:1.5) b", [(w, 1.1) for w in ("a", ":", "1", ".", "5")] + [("b", 1)]),
        ("a BREAK b", [("a", 1), ("BREAK", 1), ("b", 1)]),
        ("a \\(b", [("a", 1), ("b", 1.1)]),  # no escapes
        ("", []),
    ],
)
def test_brackets(text: str, want: list[tuple[str, float]]) -> None:
    got = weighted(text)
    assert [word for word, _ in got] == [word for word, _ in want]
    assert [weight for _, weight in got] == pytest.approx([weight for _, weight in want])


def test_there_is_one_chunk_and_the_rest_is_cut_off() -> None:
    chunked = chunk_by_old_emphasis("a " * 80, tokenize, {})
    assert (len(chunked.chunks), chunked.token_count) == (1, 80)
    (chunk,) = chunked.chunks
    assert (len(chunk.tokens), len(chunk.multipliers), chunk.token_count) == (77, 77, 75)
    assert chunk.tokens[76] == 49407


def test_padding_is_the_encoders() -> None:
    (chunk,) = chunk_by_old_emphasis("a", tokenize, {}, OPEN_CLIP).chunks
    assert chunk.tokens[2:] == (49407, *[0] * 74)
