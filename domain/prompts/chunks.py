"""Splits a prompt of any length into chunks of 75 tokens.

Source: spec prompts.md sections 5.1 to 5.4 and 7.3. Independent of tokenizer and tensor library:
the tokenizer is passed in, and chunks are tuples of 77 numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.attention import Span, parse_attention

CHUNK_TOKENS = 75
"""Tokens of a chunk, BOS and EOS not counted."""

Tokenize = Callable[[list[str]], list[list[int]]]
"""Tokenizes each text by itself, without special tokens and without truncation."""


class SpecialTokens(msgspec.Struct, frozen=True):
    """Special token ids of a tokenizer (spec prompts.md 5.1), and the id of the comma.

    Without a comma (None) chunks are never cut at a comma.
    """

    bos: int = 49406
    eos: int = 49407
    pad: int = 49407
    comma: int | None = 267


CLIP_L = SpecialTokens()
"""SD1, and the first encoder of SDXL."""

OPEN_CLIP = SpecialTokens(pad=0)
"""SD2, and bigG in SDXL and its refiner."""


class PromptEmbedding(msgspec.Struct, frozen=True):
    """A textual-inversion embedding in a prompt: its name, and the number of vectors that replace
    the name."""

    name: str
    vectors: int


class EmbeddingMatch(msgspec.Struct, frozen=True):
    """An embedding found in a prompt, whose name is `tokens` token ids long."""

    embedding: PromptEmbedding
    tokens: int


class EmbeddingLookup(Protocol):
    """(token ids of a span, position) -> the embedding whose name starts there, or None."""

    def __call__(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None: ...


class EmbeddingPlacement(msgspec.Struct, frozen=True):
    """Where an embedding's vectors go in a chunk: they replace the token embeddings from index
    `offset + 1` on (index 0 is BOS)."""

    offset: int
    embedding: PromptEmbedding


class Chunk(msgspec.Struct, frozen=True):
    """One window of a text encoder.

    `tokens` are 77 ids: BOS, 75 ids including padding, EOS. `multipliers` are the 77 attention
    weights, 1.0 for special tokens and padding. `token_count`, 0 to 75, counts the tokens of text.
    """

    tokens: tuple[int, ...]
    multipliers: tuple[float, ...]
    token_count: int = 0
    embeddings: tuple[EmbeddingPlacement, ...] = ()


class ChunkedPrompt(msgspec.Struct, frozen=True):
    """A prompt as chunks (at least one). `token_count` counts every full chunk as 75."""

    chunks: tuple[Chunk, ...]
    token_count: int

    @property
    def token_limit(self) -> int:
        """`token_count` rounded up to a multiple of 75, as clients display it."""
        return max(-(-self.token_count // CHUNK_TOKENS), 1) * CHUNK_TOKENS


def chunk_prompt(
    text: str,
    tokenize: Tokenize,
    special: SpecialTokens = CLIP_L,
    *,
    emphasis: str = "Original",
    comma_backtrack: int = 20,
    embeddings: EmbeddingLookup | None = None,
    field: str = "prompt",
) -> ChunkedPrompt:
    """Parse attention (unless `emphasis` is "None"), tokenize each span, fill chunks.

    A full chunk is cut after its last comma instead of in mid-phrase if that comma is among the
    last `comma_backtrack` tokens (0: never). Raises InvalidRequest, naming `field`, for malformed
    weights and embeddings of more than 75 vectors.
    """
    spans = [Span(text)] if emphasis == "None" else parse_attention(text, field)
    ids = tokenize([span.text for span in spans])
    filler = _Filler(special, comma_backtrack, embeddings, field)
    for span, tokens in zip(spans, ids, strict=True):
        if span.is_break:
            filler.close()
        else:
            filler.add(tokens, span.weight)
    return filler.finish()


def empty_chunk(special: SpecialTokens = CLIP_L) -> Chunk:
    """The chunk of an empty prompt: BOS, EOS and padding."""
    return make_chunk([], [], (), special)


def chunk_columns(
    prompts: Sequence[ChunkedPrompt], special: SpecialTokens = CLIP_L
) -> Iterator[tuple[Chunk, ...]]:
    """The first chunks of all prompts, then the second chunks, and so on; shorter prompts are
    padded with empty chunks.

    A text encoder processes one column at a time, and emphasis is normalised over a column (spec
    prompts.md 5.4).
    """
    blank = empty_chunk(special)
    for i in range(max((len(prompt.chunks) for prompt in prompts), default=0)):
        yield tuple(p.chunks[i] if i < len(p.chunks) else blank for p in prompts)


class EmbeddingIndex:
    """An EmbeddingLookup over a list of embeddings; the longest matching name wins.

    Built from (embedding, token ids of its name) pairs; of two with equal ids the later one
    replaces the earlier. Names without tokens cannot match and are left out.
    """

    def __init__(self, embeddings: Iterable[tuple[PromptEmbedding, Sequence[int]]]) -> None:
        by_ids = {tuple(ids): embedding for embedding, ids in embeddings if ids}
        longest_first = sorted(by_ids.items(), key=lambda entry: -len(entry[0]))
        index: dict[int, list[tuple[tuple[int, ...], PromptEmbedding]]] = {}
        for ids, embedding in longest_first:
            index.setdefault(ids[0], []).append((ids, embedding))
        self._by_first: Mapping[int, Sequence[tuple[tuple[int, ...], PromptEmbedding]]] = index

    def __call__(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        for ids, embedding in self._by_first.get(tokens[position], ()):
            if tuple(tokens[position : position + len(ids)]) == ids:
                return EmbeddingMatch(embedding, len(ids))
        return None


class _Filler:
    """Fills one chunk after the other; the rule is spec prompts.md 5.2."""

    def __init__(
        self,
        special: SpecialTokens,
        comma_backtrack: int,
        embeddings: EmbeddingLookup | None,
        field: str,
    ) -> None:
        self._special = special
        self._backtrack = comma_backtrack
        self._lookup = embeddings
        self._field = field
        self._chunks: list[Chunk] = []
        self._token_count = 0
        self._tokens: list[int] = []
        self._weights: list[float] = []
        self._placements: list[EmbeddingPlacement] = []
        self._last_comma: int | None = None  # its index in the chunk being filled

    def add(self, ids: Sequence[int], weight: float) -> None:
        position = 0
        while position < len(ids):
            if ids[position] == self._special.comma:
                self._last_comma = len(self._tokens)
            elif self._may_cut_at_comma():
                self._cut_at_comma()
            if len(self._tokens) == CHUNK_TOKENS:
                self.close()
            match = self._lookup(ids, position) if self._lookup else None
            if match:
                self._place(match.embedding, weight)
                position += match.tokens
            else:
                self._tokens.append(ids[position])
                self._weights.append(weight)
                position += 1

    def close(self, is_last: bool = False) -> None:
        self._token_count += len(self._tokens) if is_last else CHUNK_TOKENS
        self._chunks.append(
            make_chunk(self._tokens, self._weights, self._placements, self._special)
        )
        self._start([], [])

    def finish(self) -> ChunkedPrompt:
        if self._tokens or not self._chunks:
            self.close(is_last=True)
        return ChunkedPrompt(tuple(self._chunks), self._token_count)

    def _start(self, tokens: list[int], weights: list[float]) -> None:
        self._tokens, self._weights = tokens, weights
        self._placements, self._last_comma = [], None

    def _may_cut_at_comma(self) -> bool:
        return (
            self._backtrack != 0
            and len(self._tokens) == CHUNK_TOKENS
            and self._last_comma is not None
            and CHUNK_TOKENS - self._last_comma <= self._backtrack
        )

    def _cut_at_comma(self) -> None:
        assert self._last_comma is not None
        cut = self._last_comma + 1
        tokens, weights = self._tokens[cut:], self._weights[cut:]
        del self._tokens[cut:], self._weights[cut:]
        # Placements stay with the closed chunk even beyond the cut, as in the reference.
        self.close()
        self._start(tokens, weights)

    def _place(self, embedding: PromptEmbedding, weight: float) -> None:
        if embedding.vectors > CHUNK_TOKENS:
            raise InvalidRequest(
                self._field,
                f"embedding {embedding.name!r} has {embedding.vectors} vectors; "
                f"at most {CHUNK_TOKENS} fit",
            )
        if len(self._tokens) + embedding.vectors > CHUNK_TOKENS:
            self.close()
        self._placements.append(EmbeddingPlacement(len(self._tokens), embedding))
        self._tokens.extend([0] * embedding.vectors)
        self._weights.extend([weight] * embedding.vectors)


def make_chunk(
    tokens: Sequence[int],
    weights: Sequence[float],
    placements: Sequence[EmbeddingPlacement] = (),
    special: SpecialTokens = CLIP_L,
) -> Chunk:
    """A chunk of at most 75 tokens with their weights, padded."""
    blank = CHUNK_TOKENS - len(tokens)
    row = [special.bos, *tokens, *[special.eos] * (blank + 1)]
    if special.pad != special.eos:
        # After the first EOS, wherever it came from (spec prompts.md 5.3).
        text_end = row.index(special.eos) + 1
        row[text_end:] = [special.pad] * (len(row) - text_end)
    multipliers = (1.0, *weights, *[1.0] * (blank + 1))
    return Chunk(tuple(row), multipliers, len(tokens), tuple(placements))
