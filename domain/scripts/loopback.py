"""Loopback: its arguments, and the denoising strength of each loop. Source: spec scripts.md 8."""

import math
from typing import Annotated, Literal

from hexfusion.domain.generation import MAX_ITERATIONS
from hexfusion.domain.scripts.arguments import Arguments, Choice, Slider, Whole

TITLE = "Loopback"

Curve = Literal["Aggressive", "Linear", "Lazy"]


class Loopback(Arguments, frozen=True):
    """The number of loops, the final denoising strength and curve, and captions in the prompt."""

    loops: Annotated[int, Whole("Loops", 1, 32, 1, MAX_ITERATIONS)] = 4
    final_strength: Annotated[float, Slider("Final denoising strength", 0, 1, 0.01)] = 0.5
    curve: Annotated[
        Curve, Choice("Denoising strength curve", ("Aggressive", "Linear", "Lazy"))
    ] = "Linear"
    caption: Annotated[
        Literal["None", "CLIP", "DeepBooru"],
        Choice("Append interrogated prompt at each iteration", ("None", "CLIP", "DeepBooru")),
    ] = "None"


def strength_of(loop: int, first: float, arguments: Loopback) -> float:
    """The denoising strength of loop number `loop`, from 0; `first` is that of loop 0."""
    if arguments.loops == 1 or loop == 0:
        return first
    share = loop / (arguments.loops - 1)
    if arguments.curve == "Aggressive":
        share = math.sin(share * math.pi * 0.5)
    elif arguments.curve == "Lazy":
        share = 1 - math.cos(share * math.pi * 0.5)
    return first + (arguments.final_strength - first) * share
