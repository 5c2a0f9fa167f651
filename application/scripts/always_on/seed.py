"""Seed: fields `seed`, `subseed` and their kin of a request say it. Source: spec scripts.md 14."""

from typing import Annotated

from hexfusion.application.scripts.always_on.script import AlwaysOn
from hexfusion.domain.scripts.arguments import Arguments, NumberBox, Slider, Switch, Whole


class Seed(Arguments, frozen=True):
    """Where noise comes from. `extra` shows the arguments behind it in A1111's form."""

    seed: Annotated[int, NumberBox("Seed")] = -1
    extra: Annotated[bool, Switch("Extra")] = False
    subseed: Annotated[int, NumberBox("Variation seed")] = -1
    subseed_strength: Annotated[float, Slider("Variation strength", 0, 1, 0.01)] = 0.0
    resize_from_width: Annotated[int, Whole("Resize seed from width", 0, 2048, 8)] = 0
    resize_from_height: Annotated[int, Whole("Resize seed from height", 0, 2048, 8)] = 0


SCRIPT = AlwaysOn("Seed", Seed)
