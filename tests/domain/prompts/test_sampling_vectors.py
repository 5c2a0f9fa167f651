"""Prompt editing and AND once more, by the vectors of the sampling spec (sampling.md 5)."""

import pytest

from hexfusion.domain.prompts.composition import compose
from hexfusion.domain.prompts.schedule import prompt_schedule
from tests.golden.sampling_vectors import section


def test_prompt_schedules() -> None:
    """[V:prompt_schedules]: first and second pass, old and new scheduling."""
    cases = section("prompt_schedules")
    assert len(cases) == 145
    for case in cases:
        got = prompt_schedule(case["prompt"], case["steps"], case["hires_steps"], case["old"])
        assert [[step.end_at, step.text] for step in got] == case["schedule"], case


@pytest.mark.parametrize("case", section("and_parsing"), ids=lambda case: case["prompts"][0])
def test_and_parsing(case: dict) -> None:
    """[V:and_parsing]: texts in the order of their first appearance, and who uses them."""
    got = compose(case["prompts"])
    assert list(got.texts) == case["flat"]
    uses = [[[use.index, use.weight] for use in prompt] for prompt in got.uses]
    assert uses == case["indexes"]
