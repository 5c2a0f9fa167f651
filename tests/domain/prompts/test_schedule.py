"""Prompt editing, against spec prompts.md section 2."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.prompts.schedule import (
    ScheduledText,
    entry_at,
    prompt_schedule,
    timelines_differ,
)


def test_every_vector(prompt_vectors):
    # spec prompts.md section 2, V:schedule. Where the reference's answer depends on its hash seed,
    # the vector holds the structured reading of section 2.2.
    cases = prompt_vectors["schedule"]
    assert len(cases) == 87
    for case in cases:
        got = prompt_schedule(
            case["input"], case["steps"], case["hires_steps"], case["old_scheduling"]
        )
        assert [[step.end_at, step.text] for step in got] == case["expected"], case["input"]


def test_first_entry_lasts_one_evaluation_more_than_its_number():
    # spec prompts.md section 2.4
    schedule = prompt_schedule("[a:b:2]", 4)
    assert [entry_at(schedule, c) for c in range(5)] == [0, 0, 0, 1, 1]


def test_beyond_the_last_entry_the_first_is_used():
    assert entry_at(prompt_schedule("[a:b:2]", 4), 5) == 0  # spec prompts.md section 2.4


def test_infinite_position_means_never():
    # The reference raises OverflowError (spec prompts.md section 2.3).
    assert prompt_schedule("[a:b:1e400]", 10) == (ScheduledText(10, "a"),)
    assert prompt_schedule("[a:b:-1e400]", 10) == (ScheduledText(10, "b"),)


def test_timelines_differ_for_fractions_from_one():
    assert timelines_differ("[a:b:1.5]", 20)
    assert not timelines_differ("[a:b:0.5]", 20)
    assert timelines_differ("[a:b:0.5]", 20, hires_steps=10)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "[" * 20_000 + "]" * 20_000,
        "[a:" * 20_000 + "b" + ":1]" * 20_000,
        "[a|" * 20_000 + "]" * 20_000,
        "[a:(b:1)" * 20_000,
    ],
)
def test_deep_nesting_is_read_in_linear_time(text):
    started = time.process_time()
    assert prompt_schedule(text, 2)[-1].end_at == 2
    assert time.process_time() - started < 5


FRAGMENTS = st.sampled_from(
    ["a", "b ", "\n", "\\", "(", ")", "[", "]", ":", "|", "3", "0.5", ":2]", "[a:", "|c]", "1e9"]
)
TEXTS = st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=40)


@given(TEXTS, st.integers(1, 12), st.none() | st.integers(1, 9), st.booleans())
def test_any_text_gives_a_schedule_that_covers_all_steps(text, steps, hires_steps, old):
    schedule = prompt_schedule(text, steps, hires_steps, old)
    last = hires_steps if hires_steps is not None and not old else steps
    ends = [step.end_at for step in schedule]
    assert ends == sorted(set(ends))
    assert ends[0] >= 1
    assert ends[-1] == last


@given(st.text(alphabet=st.characters(exclude_characters="[|\\"), max_size=40))
def test_text_without_editing_is_unchanged(text):
    assert prompt_schedule(text, 7) == (ScheduledText(7, text),)
