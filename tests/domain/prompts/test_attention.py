"""Attention syntax, against spec prompts.md section 1."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.attention import Span, parse_attention, unparse, uses_emphasis


def test_every_vector(prompt_vectors):
    # spec prompts.md section 1, V:attention
    cases = prompt_vectors["attention"]
    assert len(cases) == 111
    for case in cases:
        if "error" in case:
            with pytest.raises(InvalidRequest):
                parse_attention(case["input"])
        else:
            got = [[span.text, span.weight] for span in parse_attention(case["input"])]
            assert got == case["expected"], case["input"]


def test_malformed_weight_names_the_field():
    with pytest.raises(InvalidRequest) as caught:
        parse_attention("(red:1.2.3)", field="negative_prompt")
    assert caught.value.field == "negative_prompt"
    assert "1.2.3" in caught.value.message


def test_overflowing_weights_are_refused():
    huge = "9" * 300
    with pytest.raises(InvalidRequest):
        parse_attention(f"((x:{huge}):{huge})")


def test_break_inside_brackets_is_text():
    # spec prompts.md section 1.2: its -1 is multiplied, so it is no chunk break
    spans = parse_attention("(a BREAK b)")
    assert [span.text for span in spans] == ["a", "BREAK", "b"]
    assert not any(span.is_break for span in spans)
    assert parse_attention("a BREAK b")[1].is_break


def test_breaks_alone_are_not_emphasis():
    assert not uses_emphasis(parse_attention("a BREAK b"))
    assert uses_emphasis(parse_attention("a [b]"))


def test_white_space_does_not_cost_quadratic_time():
    blank = " " * 200_000
    assert parse_attention(blank) == [Span(blank)]


def test_nesting_costs_no_quadratic_time():
    started = time.process_time()
    with pytest.raises(InvalidRequest, match="nested too deep"):
        parse_attention("[(a" * 50_000)
    deep = parse_attention("(a" * 1000 + ")" * 1000)
    assert len(deep) == 1000
    assert time.process_time() - started < 5


FRAGMENTS = st.sampled_from(
    ["a", "B", "é", " ", "\n", "\\", "(", ")", "[", "]", ":", "1", ".5", "-", "BREAK", ":1.3)"]
)


@given(st.lists(FRAGMENTS, max_size=24).map("".join))
def test_unparse_is_read_back_as_the_same_spans(text):
    try:
        spans = parse_attention(text)
    except InvalidRequest:
        return
    assert parse_attention(unparse(spans)) == spans


@given(st.text(max_size=60))
def test_plain_text_survives_escaping(text):
    assert "".join(s.text for s in parse_attention(unparse([Span(text)]))) == text
