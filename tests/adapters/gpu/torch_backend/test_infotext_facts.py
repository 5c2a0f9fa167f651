"""Infotext's facts: what is known only after sampling (spec prompts.md 8.2)."""

import msgspec
import pytest

from hexfusion.adapters.gpu.torch_backend.infotext_facts import infotext_facts
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.plan import Plan, RefinerPlan
from hexfusion.domain.sampling.options import SamplingOptions
from tests.contracts.inference import plan, with_hires

MAIN, OTHER = (
    Checkpoint(name=f"{name}.safetensors", filename=f"/{name}", sha256=sum_ * 64)
    for name, sum_ in (("main", "0"), ("other", "f"))
)
REFINER = RefinerPlan(checkpoint=OTHER, switch_at=0.5)


def with_options(**options: object) -> Plan:
    first = plan(MAIN)
    sampling = msgspec.structs.replace(first.sampling, options=SamplingOptions(**options))
    return msgspec.structs.replace(first, sampling=sampling, mask_weight=0.25)


@pytest.mark.parametrize(
    ("happened", "facts"),
    [
        (set(), {}),
        ({"Conditional mask weight"}, {"Conditional mask weight": 0.25}),
        ({"NGMS"}, {"NGMS": 1.5}),
        ({"Skip Early CFG", "Pad conds"}, {"Skip Early CFG": 0.1, "Pad conds": True}),
        ({"Pad conds v0"}, {"Pad conds v0": True}),
    ],
)
def test_what_happened_is_told_with_its_setting(happened: set[str], facts: dict[str, object]):
    made = with_options(s_min_uncond=1.5, skip_early_cond=0.1)
    assert infotext_facts(made, happened) == facts


def test_all_steps_of_ngms_are_told():
    made = with_options(s_min_uncond=1.5, s_min_uncond_all=True)
    assert infotext_facts(made, {"NGMS"}) == {"NGMS": 1.5, "NGMS all steps": True}


@pytest.mark.parametrize(
    ("first", "second", "where", "told"),
    [
        (True, False, "", None),
        (True, False, "first pass", "first pass"),
        (False, True, "second pass", None),
        (True, True, "both passes", "both passes"),
        (False, True, "both passes", "both passes"),  # the first pass's is the checkpoint itself
    ],
)
def test_which_pass_a_refiner_took_over(first: bool, second: bool, where: str, told: str | None):
    refiner = msgspec.structs.replace(REFINER, hires_pass=where)
    made = msgspec.structs.replace(plan(MAIN), refiner=refiner if first else None)
    if where:
        made = with_hires(made)
        hires = msgspec.structs.replace(made.hires, refiner=refiner if second else None)
        made = msgspec.structs.replace(made, hires=hires)
    facts = dict(infotext_facts(made, {"Refiner"}))
    assert facts.pop("Hires refiner", None) == told
    assert facts == {"Refiner": OTHER.short_title, "Refiner switch at": 0.5}


def test_a_refiner_of_the_second_pass_alone_and_by_steps():
    by_steps = msgspec.structs.replace(REFINER, by_sample_steps=True)
    made = with_hires(plan(MAIN))
    made = msgspec.structs.replace(
        made, hires=msgspec.structs.replace(made.hires, refiner=by_steps)
    )
    facts = infotext_facts(made, {"Refiner"})
    assert [*facts] == ["Refiner switch by sampling steps", "Refiner", "Refiner switch at"]
