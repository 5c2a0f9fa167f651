"""A1111's first implementation of emphasis, still available as an option.

Brackets are found among the tokens: they change the weight of the tokens that follow and are
dropped. There are no numeric weights, no nesting rules, and only one chunk. Source: spec prompts.md
5.5, option use_old_emphasis_implementation.
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
    """The first 75 tokens of `text` as one chunk; `token_count` includes tokens beyond the 75.

    `bracket_tokens` maps the id of each token that contains one of `BRACKETS` to its text. Other
    characters in such a token are dropped with it.
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
