"""Spec sampling.md 3.3, 5.2 and 6.2: how many steps and calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.sampling.names import resolve_names
from hexfusion.domain.sampling.steps import (
    expected_calls,
    img2img_steps,
    sampling_step,
    timestep_list,
)
from tests.golden.sampling_vectors import section


def test_img2img_steps() -> None:
    """[V:img2img_steps], both rules."""
    for case in section("img2img_steps"):
        explicit = case["fix_steps"] or case.get("hires_steps") is not None
        steps = case.get("hires_steps") or case["steps"]
        got = img2img_steps(steps, case["denoising_strength"], explicit=explicit)
        assert got == (case["schedule_steps"], case["t_enc"]), case


def test_timestep_lists() -> None:
    """[V:timesteps]"""
    want = section("timesteps")
    for steps in (1, 5, 6, 15, 20, 30):
        assert timestep_list(steps) == want[str(steps)]
    assert timestep_list(999)[:5] == want["999"]["first5"]
    assert timestep_list(999)[-5:] == want["999"]["last5"]
    assert len(timestep_list(999)) == want["999"]["len"]
    assert len(timestep_list(70)) == want["70_len"]


@given(st.integers(1, 1000))
def test_a_timestep_list_is_long_enough_and_never_falls(steps: int) -> None:
    times = timestep_list(steps)
    assert len(times) >= steps
    assert times == sorted(times)
    assert times[0] == 1
    assert times[-1] <= 999


@pytest.mark.parametrize("steps", [0, 1001])
def test_there_are_a_thousand_training_times(steps: int) -> None:
    with pytest.raises(InvalidRequest, match="steps"):
        timestep_list(steps)


def test_second_order_samplers_count_double() -> None:
    """Spec 5.2; steps are counted from 0, calls from 1."""
    heun, euler = resolve_names("Heun")[0], resolve_names("Euler")[0]
    assert (expected_calls(heun, 20), expected_calls(euler, 20)) == (40, 20)
    assert [sampling_step(heun, call) for call in (1, 2, 3, 39)] == [0, 0, 1, 19]
    assert [sampling_step(euler, call) for call in (1, 2, 20)] == [0, 1, 19]
