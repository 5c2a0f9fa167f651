"""When the refiner takes over (spec sampling.md 5.4). Oracle: [V:refiner_switch]."""

import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.refiner import when_due
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import build_sigmas
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import RefinerPlan
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.samplers import BY_NAME
from hexfusion.domain.sampling.steps import timestep_list
from tests.golden.sampling_vectors import section

OTHER = Checkpoint(name="refiner.safetensors", filename="/refiner.safetensors")


def levels_of(case: dict) -> tuple[str, list[Tensor]]:
    """(sampler, the level of each of its calls)"""
    steps = case["steps"]
    if case["schedule"] == "DDIM sampler timesteps":
        # DDIM goes down its list, and never calls at the lowest time.
        return "DDIM", [torch.tensor(time) for time in reversed(timestep_list(steps)[1:])]
    sampler, options = BY_NAME["Euler"], SamplingOptions()
    sigmas = build_sigmas(noise_table(), case["schedule"], sampler, steps, options)
    return "Euler", list(sigmas[:-1])


@pytest.mark.parametrize("case", section("refiner_switch"), ids=str)
def test_first_call_with_refiner(case: dict) -> None:
    """By the share of noise gone, and by option refiner_switch_by_sample_steps."""
    name, levels = levels_of(case)
    for by_steps, key in ((False, "first_call_with_refiner"), (True, "by_sample_steps")):
        plan = RefinerPlan(checkpoint=OTHER, switch_at=case["switch_at"], by_sample_steps=by_steps)
        due = when_due(plan, BY_NAME[name], noise_table(), case["steps"])
        answers = [due(call, level) for call, level in enumerate(levels)]
        assert answers.index(True) == case[key]
        assert answers == sorted(answers)  # once due, it stays


def test_without_a_switch_it_answers_from_the_first_call() -> None:
    plan = RefinerPlan(checkpoint=OTHER, switch_at=None)
    due = when_due(plan, BY_NAME["Euler"], noise_table(), 20)
    assert due(0, torch.tensor(14.6))
