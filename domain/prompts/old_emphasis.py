"""Emphasis as it was before the parser of `hexfusion.domain.prompts.attention`.

Here brackets are tokens: they change the weight of what follows and are dropped. No numbers, no
nesting rules, no second chunk. Source: spec prompts.md 5.5, option use_old_emphasis_implementation.
"""

from collections.abc import Mapping

from hexfusion.domain.prompts.attention import ROUND, SQUARE
from hexfusion.domain.prompts.chunks import (
    CHUNK_TOKENS,
    CLIP_L,
    ChunkedPrompt,
    EmbeddingLookup,
    EmbeddingPlacement,
    SpecialTokens,
    Tokenize,
    make_chunk,
)

BRACKETS = "()[]"

_FACTORS = {"(": ROUND, ")": 1 / ROUND, "[": SQUARE, "]": 1 / SQUARE}


def chunk_by_old_emphasis(
    text: str,
    tokenize: Tokenize,
    bracket_tokens: Mapping[int, str],
    special: SpecialTokens = CLIP_L,
    embeddings: EmbeddingLookup | None = None,
) -> ChunkedPrompt:
    """The first 75 tokens as one chunk; `token_count` counts those cut off too.

    `bracket_tokens` has the text of each token with one of `BRACKETS` in it. Other text in such a
    token is dropped with it.
    """
    (ids,) = tokenize([text])
    tokens: list[int] = []
    weights: list[float] = []
    placements: list[EmbeddingPlacement] = []
    weight, position = 1.0, 0
    while position < len(ids):
        token = ids[position]
        match = embeddings(ids, position) if embeddings else None
        position += match.tokens if match else 1
        if match:
            placements.append(EmbeddingPlacement(len(tokens), match.embedding))
            tokens += [0] * match.embedding.vectors
            weights += [weight] * match.embedding.vectors
        elif token in bracket_tokens:
            for letter in bracket_tokens[token]:
                weight *= _FACTORS.get(letter, 1.0)
        else:
            tokens.append(token)
            weights.append(weight)
    inside = [each for each in placements if each.offset < CHUNK_TOKENS]
    chunk = make_chunk(tokens[:CHUNK_TOKENS], weights[:CHUNK_TOKENS], inside, special)
    return ChunkedPrompt((chunk,), len(tokens))
