"""Spec prompts.md 5.1."""

import gzip
import json
from importlib.resources import files

import pytest

from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import (
    ClipTokenizer,
    clean,
    open_clip_tokenizer,
)
from hexfusion.domain.prompts import CLIP_L, OPEN_CLIP

VOCABULARY = (
    files("hexfusion.adapters.gpu.torch_backend.conditioning")
    / "clip_vocabulary/bpe_simple_vocab_16e6.txt.gz"
)


@pytest.fixture(scope="module")
def tokenize():
    return ClipTokenizer()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("  A  PHOTO\tof\na Cat ", [320, 1125, 539, 320, 2368]),
        (",", [CLIP_L.comma]),
        ("", []),
        ("<|startoftext|>", [CLIP_L.bos]),
        ("cat<|EndOfText|>cat", [2368, CLIP_L.eos, 2368]),
        ("123", [272, 273, 274]),
        ("it's", [585, 568]),
    ],
)
def test_ids(tokenize, text, ids):
    assert tokenize([text]) == [ids]


def test_texts_are_tokenized_each_by_itself_and_whole(tokenize):
    assert tokenize([]) == []
    assert tokenize(["cat", "cat " * 200]) == [[2368], [2368] * 200]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("“Quoted” — ﬁne", '"quoted" — fine'),
        ("ＦＵＬＬ　width", "full width"),
        ("schÃ¶n", "schön"),
        ("&lt;tag&gt;", "<tag>"),
        ("Cafe\u0301", "café"),
    ],
)
def test_text_is_mended(text, cleaned):
    """Spec prompts.md 5.1: ftfy, whitespace, lower case."""
    assert clean(text) == cleaned


@pytest.fixture(scope="module")
def tokenize_for_open_clip():
    return open_clip_tokenizer()


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("A  photo, “of” a Cat", 'a photo, "of" a cat'),
        ("a < b &amp; c", "a < b & c"),  # ftfy leaves entities alone beside a bracket
        ("a < b &amp;amp; c", "a < b & c"),
        ("&nbsp;cat", "cat"),
    ],
)
def test_open_clip_unescapes_html(tokenize, tokenize_for_open_clip, text, same_as):
    """Spec prompts.md 5.1."""
    assert tokenize_for_open_clip([text]) == tokenize([same_as])


def test_open_clip_writes_its_special_tokens_in_another_way(tokenize, tokenize_for_open_clip):
    special = "<start_of_text>cat<END_OF_TEXT>"
    assert tokenize_for_open_clip([special]) == [[OPEN_CLIP.bos, 2368, OPEN_CLIP.eos]]
    assert tokenize(["a < b &amp; c"]) != tokenize(["a < b & c"])
    other = ["<|endoftext|>"]
    assert tokenize([special]) != tokenize_for_open_clip([special])
    assert tokenize_for_open_clip(other) != tokenize(other) == [[CLIP_L.eos]]


def test_tokens_with_brackets(tokenize):
    """What the old emphasis goes by (spec prompts.md 5.5)."""
    found = tokenize.bracket_tokens
    for text in ("(", ")", "[", "]", "((", "),"):
        (ids,) = tokenize([text])
        assert [found[token] for token in ids] == [f"{text}</w>"]
    assert tokenize(["cat"])[0][0] not in found
    assert all(set(word) & set("()[]") for word in found.values())


def test_it_agrees_with_transformers(tokenize):
    """On text that needs no mending, which transformers does not do."""
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    vocabulary = tokenize._tokenizer.get_vocab()
    with gzip.open(VOCABULARY) as f:
        lines = f.read().decode().split("\n")[1:48895]
    theirs = CLIPTokenizer(vocab=vocabulary, merges=[tuple(line.split()) for line in lines])
    for text in ("červený kruh 红色 🔴", "don't we'll 3.14e5 ... ___ (a:1.2)", "masterpiece,best"):
        assert tokenize([text]) == [theirs(text, add_special_tokens=False)["input_ids"]]


def test_the_vocabulary_is_the_recorded_servers(tokenize, shared):
    folder = shared / "golden/data/models/Stable-diffusion/tiny-clip"
    recorded = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert tokenize._tokenizer.get_vocab() == recorded
