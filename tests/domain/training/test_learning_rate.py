"""Spec networks.md 5.3. Oracle: [V:learn_rate]."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.training.learning_rate import Segment, parse_learning_rate, rate_changes

VECTORS = Path(__file__).parents[2] / "golden/prompt_vectors.json"
CASES = json.loads(VECTORS.read_text("utf-8"))["learn_rate"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["schedule"]))
def test_vectors(case: dict[str, Any]) -> None:
    asked = case["schedule"], case["max_steps"], case["current_step"]
    if "error" in case:
        with pytest.raises(InvalidRequest, match="Invalid learning rate schedule") as caught:
            parse_learning_rate(*asked)
        assert caught.value.field == "learn_rate"
        return
    segments = parse_learning_rate(*asked)
    expected = case["expected"]
    assert [[each.rate, each.end] for each in segments] == expected["segments"]
    changes, end = rate_changes(segments, case["current_step"])
    assert [list(each) for each in changes] == expected["rate_changes_at_step"]
    assert end == expected["stops_at_step"]


def test_a_rate_that_is_no_number_is_refused() -> None:
    for text in ("nan", "inf:10"):
        with pytest.raises(InvalidRequest):
            parse_learning_rate(text, 100)


@given(
    st.lists(
        st.tuples(st.floats(1e-9, 1), st.integers(1, 99)), min_size=1, unique_by=lambda e: e[1]
    )
)
def test_a_rising_schedule_comes_back(entries: list[tuple[float, int]]) -> None:
    rising = sorted(entries, key=lambda entry: entry[1])
    text = ", ".join(f"{rate!r}:{step}" for rate, step in rising)
    expected = tuple(Segment(rate, step) for rate, step in rising)
    assert parse_learning_rate(text, 100) == expected
