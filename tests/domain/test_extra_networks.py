"""Spec networks.md 1.3, 2.1; prompts.md 7.1, 7.2. Whole files are read in the contract's tests."""

import pytest

from hexfusion.domain.extra_networks import (
    Embedding,
    Lora,
    Shape,
    embedding_of,
    metadata_for_listing,
    split_by_text_width,
)


def test_the_telling_metadata_comes_first():
    given = {"a": "1", "ss_tag_frequency": "{}", "ss_resolution": "512", "ss_sd_model_name": "x"}
    shown = list(metadata_for_listing(given))
    assert shown == ["ss_sd_model_name", "ss_resolution", "ss_tag_frequency", "a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": [1]}', {"a": [1]}), ("{broken", "{broken"), ("[1]", "[1]"), ("{" * 5000, "{" * 5000)],
)
def test_metadata_that_is_an_object_is_read(text, value):
    assert metadata_for_listing({"x": text}) == {"x": value}


def test_without_a_name_by_its_maker_a_lora_goes_by_its_file():
    assert Lora(name="a", path="/a.pt", metadata={"ss_output_name": ""}).alias == "a"


@pytest.mark.parametrize(
    ("sides", "vectors"), [((64,), 1), ((3, 64), 3), ((0, 64), None), ((), None), ((1, 2, 3), None)]
)
def test_a_tensor_of_vectors(sides, vectors):
    found = embedding_of("x", {"emb_params": Shape(sides)})
    assert (found and found.vectors) == vectors


def test_embeddings_are_sorted_and_parted_by_width():
    wide, narrow, other = (
        Embedding(name=name, vectors=1, width=width)
        for name, width in (("b", 8), ("A", 8), ("c", 9))
    )
    assert split_by_text_width([wide, narrow, other], 8) == ([narrow, wide], [other])
