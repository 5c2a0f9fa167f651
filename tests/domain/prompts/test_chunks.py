"""Chunks, against spec prompts.md sections 5 and 7.3."""

import re
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.chunks import (
    CLIP_L,
    OPEN_CLIP,
    EmbeddingIndex,
    PromptEmbedding,
    chunk_columns,
    chunk_prompt,
    empty_chunk,
)


class ToyTokenizer:
    """A run of anything but white space and commas is a token, and so is a comma."""

    def __init__(self):
        self.words = [None, ","]  # id 0 is the placeholder of embeddings

    def __call__(self, texts):
        return [[self._id(word) for word in re.findall(r"[^\s,]+|,", text)] for text in texts]

    def _id(self, word):
        if word not in self.words:
            self.words.append(word)
        return CLIP_L.comma if word == "," else self.words.index(word)

    def word(self, token):
        if token == 0:
            return "<TI>"
        return "," if token == CLIP_L.comma else self.words[token]


@pytest.fixture
def toy():
    return ToyTokenizer()


def toy_embeddings(toy):
    known = [
        PromptEmbedding("emb one", 3),
        PromptEmbedding("emb", 1),
        PromptEmbedding("bigemb", 74),
    ]
    return EmbeddingIndex((emb, toy([emb.name])[0]) for emb in known)


def described(chunk, toy):
    """A chunk in the words of the vectors' `field_notes`."""
    text = list(chunk.tokens[1:])
    while text and text[-1] == CLIP_L.eos:
        text.pop()
    return {
        "real_tokens": len(text),
        "first": toy.word(text[0]) if text else None,
        "last": toy.word(text[-1]) if text else None,
        "multiplier_runs": [[m, len(list(run))] for m, run in groupby(chunk.multipliers)],
        "embeddings": [[p.offset, p.embedding.name] for p in chunk.embeddings],
    }


def test_every_vector(prompt_vectors, toy):
    # spec prompts.md section 5.2, V:chunking
    cases = prompt_vectors["chunking"]["cases"]
    assert len(cases) == 32
    for case in cases:
        got = chunk_prompt(
            case["input"],
            toy,
            emphasis=case["emphasis"],
            comma_backtrack=case["comma_padding_backtrack"],
            embeddings=toy_embeddings(toy),
        )
        expected = case["expected"]
        assert [described(c, toy) for c in got.chunks] == expected["chunks"], case["desc"]
        assert got.token_count == expected["token_count"], case["desc"]
        assert got.token_limit == expected["target"], case["desc"]
        assert [c.token_count for c in got.chunks] == [c["real_tokens"] for c in expected["chunks"]]


def test_rows_are_framed_and_padded_with_eos(toy):
    chunk = chunk_prompt("a b", toy).chunks[0]
    a, b = toy(["a b"])[0]
    assert chunk.tokens == (CLIP_L.bos, a, b, *[CLIP_L.eos] * 74)
    assert empty_chunk().tokens == (CLIP_L.bos, *[CLIP_L.eos] * 76)
    assert empty_chunk().multipliers == (1.0,) * 77


def test_other_padding_begins_behind_the_first_eos(toy):
    # spec prompts.md section 5.3
    a, b = toy(["a b"])[0]
    assert chunk_prompt("a b", toy, OPEN_CLIP).chunks[0].tokens == (
        *(CLIP_L.bos, a, b, CLIP_L.eos),
        *[0] * 73,
    )
    full = chunk_prompt(" ".join("a" * 75), toy, OPEN_CLIP).chunks[0].tokens
    assert full == (CLIP_L.bos, *[a] * 75, CLIP_L.eos)


def test_a_literal_eos_cuts_the_text_where_padding_differs():
    # spec prompts.md section 5.3
    def tokenize(texts):
        return [[5, CLIP_L.eos, 6] for _ in texts]

    assert chunk_prompt("x", tokenize).chunks[0].tokens[:5] == (
        CLIP_L.bos,
        5,
        CLIP_L.eos,
        6,
        CLIP_L.eos,
    )
    cut = chunk_prompt("x", tokenize, OPEN_CLIP).chunks[0].tokens
    assert cut == (CLIP_L.bos, 5, CLIP_L.eos, *[0] * 74)


def test_columns_fill_short_prompts_with_empty_chunks(toy):
    # spec prompts.md section 5.4
    long, short = chunk_prompt("a BREAK b", toy), chunk_prompt("c", toy)
    first, second = chunk_columns([long, short])
    assert first == (long.chunks[0], short.chunks[0])
    assert second == (long.chunks[1], empty_chunk())


def test_placements_do_not_follow_the_comma_rule(toy):
    # spec prompts.md section 5.2, last note: token ids move, placements do not
    words = " ".join(f"w{i}" for i in range(70))
    got = chunk_prompt(f"{words} , emb x y z q", toy, embeddings=toy_embeddings(toy))
    assert [c.token_count for c in got.chunks] == [71, 5]
    assert [len(c.embeddings) for c in got.chunks] == [1, 0]
    assert got.chunks[0].embeddings[0].offset == 71


def test_an_embedding_that_fits_no_chunk_is_refused(toy):
    # The reference fails inside the encoder (spec prompts.md section 5.2, last note).
    lookup = EmbeddingIndex([(PromptEmbedding("huge", 76), toy(["huge"])[0])])
    with pytest.raises(InvalidRequest, match="76 vectors"):
        chunk_prompt("a huge", toy, embeddings=lookup)


@given(st.integers(0, 400), st.integers(0, 74), st.sets(st.integers(0, 399), max_size=12))
def test_no_token_is_lost_or_moved(count, backtrack, commas):
    toy = ToyTokenizer()
    text = " ".join("," if i in commas else f"w{i}" for i in range(count))
    got = chunk_prompt(text, toy, comma_backtrack=backtrack)
    joined = [t for chunk in got.chunks for t in chunk.tokens[1 : 1 + chunk.token_count]]
    assert joined == toy([text])[0]
    assert all(len(c.tokens) == len(c.multipliers) == 77 for c in got.chunks)
    assert got.token_count == 75 * (len(got.chunks) - 1) + got.chunks[-1].token_count


@pytest.mark.parametrize(("words_behind", "moved"), [(19, True), (20, False)])
def test_a_comma_counts_as_far_back_as_the_option_says(words_behind: int, moved: bool):
    """Spec prompts.md 5.2: with backtrack 20, one 20 tokens before the end of a chunk, itself
    counted, still takes what is behind it to the next chunk; one further back does not."""
    before = 75 - words_behind - 1  # tokens ahead of the comma, in a chunk that is full
    words = [f"a{n}" for n in range(before)], [f"b{n}" for n in range(words_behind)]
    text = " ".join(words[0]) + ", " + " ".join(words[1]) + " c"
    toy = ToyTokenizer()
    _first, second = chunk_prompt(text, toy, comma_backtrack=20).chunks
    assert (toy.words.index("b0") in second.tokens) == moved
