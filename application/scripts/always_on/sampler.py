"""Sampler: fields `steps`, `sampler_name` and `scheduler` of a request choose. Source: spec
scripts.md 14."""

from typing import Annotated

from hexfusion.application.scripts.always_on.script import AlwaysOn
from hexfusion.domain.sampling.schedulers import AUTOMATIC, SCHEDULERS
from hexfusion.domain.scripts.arguments import Arguments, Choice, Whole

SCHEDULES = tuple(each.label for each in SCHEDULERS)


class Sampler(Arguments, frozen=True):
    """How many steps, by which method, at which noise levels."""

    steps: Annotated[int, Whole("Sampling steps", 1, 150, 1)] = 20
    method: Annotated[str | None, Choice("Sampling method", among="samplers")] = None
    schedule: Annotated[str, Choice("Schedule type", SCHEDULES)] = AUTOMATIC.label


SCRIPT = AlwaysOn("Sampler", Sampler)
