"""Spec sampling.md 3: schedules. Oracle: [V:schedules], [V:sampler_sigmas]."""

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import consistency_table, noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import (
    AYS_SDXL,
    SCHEDULES,
    ScheduleInputs,
    build_sigmas,
)
from hexfusion.domain.sampling.names import resolve_names
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.schedulers import BY_LABEL, SCHEDULERS
from tests.golden.sampling_vectors import distance, section

VECTORS = section("schedules")
LIMITS = VECTORS["_inputs"]
TOLERANCE = 2e-6

# Title in the vectors -> label and what departs from the model's own limits and defaults.
VARIANTS = {
    "Align Your Steps SDXL": ("Align Your Steps", {"align_your_steps": AYS_SDXL}),
    "Karras rho=5": ("Karras", {"rho": 5.0}),
    "Polyexponential rho=2": ("Polyexponential", {"rho": 2.0}),
    "Karras 0.1..10": ("Karras", {"sigma_min": 0.1, "sigma_max": 10.0}),
    "SGM Uniform quantized model": ("SGM Uniform", {"table": noise_table(quantize=True)}),
    "Uniform quantized model": ("Uniform", {"table": noise_table(quantize=True)}),
    "Beta a=0.4 b=0.8": ("Beta", {"beta_alpha": 0.4, "beta_beta": 0.8}),
}
CASES = [
    (title, int(steps.removeprefix("n=")), want)
    for title, cases in VECTORS.items()
    if title in VARIANTS or title in BY_LABEL
    for steps, want in cases.items()
]


@pytest.mark.parametrize(("title", "steps", "want"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_schedule(title: str, steps: int, want: list[float]) -> None:
    label, changes = VARIANTS.get(title, (title, {}))
    defaults = {"table": noise_table(), "rho": BY_LABEL[label].default_rho, **LIMITS}
    got = SCHEDULES[BY_LABEL[label].name](steps, ScheduleInputs(**{**defaults, **changes}))
    assert distance(got, want) <= TOLERANCE


def test_every_schedule_of_the_catalogue_has_vectors_and_a_function() -> None:
    names = {scheduler.name for scheduler in SCHEDULERS} - {"automatic"}
    assert names == set(SCHEDULES)
    assert {BY_LABEL[title].name for title in VECTORS if title in BY_LABEL} == names


def case_name(case: dict) -> str:
    return " ".join([case["sampler"], case["scheduler"], *case["options"]])


@pytest.mark.parametrize("case", section("sampler_sigmas"), ids=case_name)
def test_sigmas_of_a_sampler(case: dict) -> None:
    """Automatic resolved, limits and rho overridden, the penultimate sigma dropped."""
    sampler = resolve_names(case["sampler"])[0]
    table = consistency_table(noise_table()) if sampler.consistency else noise_table()
    options = SamplingOptions(**case["options"])
    got = build_sigmas(table, case["scheduler"], sampler, case["steps"], options)
    assert distance(got, case["sigmas"]) <= TOLERANCE


@pytest.mark.parametrize("label", sorted(BY_LABEL))
def test_sigmas_are_single_precision_even_from_a_half_table(label: str) -> None:
    table, sampler = noise_table(downcast=True), resolve_names("Euler")[0]
    sigmas = build_sigmas(table, label, sampler, 9, SamplingOptions())
    assert sigmas.dtype == torch.float32
    assert sigmas[0] == pytest.approx(14.6, abs=1.0 if label != "DDIM" else 7.0)


@pytest.mark.parametrize("label", sorted(BY_LABEL))
def test_sigmas_fall_and_end_as_the_schedule_ends(label: str) -> None:
    sampler = resolve_names("Euler")[0]
    for steps in (1, 2, 7, 50):
        sigmas = build_sigmas(noise_table(), label, sampler, steps, SamplingOptions()).tolist()
        assert sigmas == sorted(sigmas, reverse=True)
        assert (sigmas[-1] == 0) == (label != "KL Optimal")
