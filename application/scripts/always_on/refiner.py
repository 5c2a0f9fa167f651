"""Refiner: fields `refiner_checkpoint` and `refiner_switch_at` of a request choose it. Source: spec
scripts.md 14."""

from typing import Annotated

from hexfusion.application.scripts.always_on.script import AlwaysOn
from hexfusion.domain.scripts.arguments import Arguments, Choice, Slider, Switch


class Refiner(Arguments, frozen=True):
    """The checkpoint that takes over, and after which share of the steps."""

    enabled: Annotated[bool, Switch("Refiner")] = False
    checkpoint: Annotated[str, Choice("Checkpoint", among="checkpoints")] = ""
    switch_at: Annotated[float, Slider("Switch at", 0.01, 1.0, 0.01)] = 0.8


SCRIPT = AlwaysOn("Refiner", Refiner)
