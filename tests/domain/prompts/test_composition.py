"""Composition with AND, against spec prompts.md section 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.composition import SubPrompt, compose, split_and


def uses(composition):
    return [[[use.index, use.weight] for use in prompt] for prompt in composition.uses]


def test_every_vector(prompt_vectors):
    # spec prompts.md section 3, V:and_split
    cases = prompt_vectors["and_split"]
    assert len(cases) == 27
    for case in cases:
        got = compose([case["input"]])
        assert list(got.texts) == case["expected"]["subprompts"], case["input"]
        assert uses(got) == [case["expected"]["uses"]], case["input"]


def test_every_batch_vector(prompt_vectors):
    # spec prompts.md section 3, V:and_split_batch
    for case in prompt_vectors["and_split_batch"]:
        got = compose(case["input"])
        assert list(got.texts) == case["expected"]["subprompts"]
        assert uses(got) == case["expected"]["uses"]


def test_equal_texts_of_a_batch_are_encoded_once():
    # spec prompts.md section 3, item 3
    got = compose(["cat AND dog", "cat :2"])
    assert got.texts == ("cat", " dog")
    assert uses(got) == [[[0, 1.0], [1, 1.0]], [[0, 2.0]]]


def test_overflowing_weight_is_refused():
    with pytest.raises(InvalidRequest):
        split_and("a :" + "9" * 400)


@given(st.lists(st.sampled_from(["AND", " ", "a", ":", "1.5", "\n", "-", "."]), max_size=20))
def test_parts_are_what_stands_between_the_ands(words):
    text = "".join(words)
    parts = split_and(text)
    assert len(parts) >= 1
    assert all(part.text == part.text.rstrip() for part in parts)
    assert split_and(f"{text} AND x")[-1] == SubPrompt(" x")
