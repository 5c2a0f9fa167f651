"""img2img alternative test: starts from the noise that samples to the picture (scripts.md 12)."""

from typing import Any

import msgspec

from hexfusion.application.scripts.selectable.script_run import (
    PlayScript,
    ScriptContext,
    ScriptOutcome,
    ScriptRun,
    Work,
)
from hexfusion.domain.infotext import Extra
from hexfusion.domain.plan import Inversion
from hexfusion.domain.scripts.alternative_test import AlternativeTest


def alternative_test(arguments: AlternativeTest, context: ScriptContext) -> PlayScript:
    """Find the picture's noise by inversion under the original prompt, and generate from it."""
    changes: dict[str, Any] = {}
    if arguments.euler:
        changes["sampler_name"] = "Euler"
    if arguments.same_prompt:
        changes |= {"prompt": arguments.prompt, "negative_prompt": arguments.negative_prompt}
    if arguments.same_steps:
        changes["steps"] = arguments.steps
    if arguments.full_strength:
        changes["denoising_strength"] = 1.0
    extra: dict[str, Extra] = {
        "Decode prompt": arguments.prompt,
        "Decode negative prompt": arguments.negative_prompt,
        "Decode CFG scale": arguments.cfg_scale,
        "Decode steps": arguments.steps,
        "Randomness": arguments.randomness,
        "Sigma Adjustment": arguments.adjust_sigma,
    }
    inversion = Inversion(
        prompt=arguments.prompt,
        negative_prompt=arguments.negative_prompt,
        steps=arguments.steps,
        cfg_scale=arguments.cfg_scale,
        randomness=arguments.randomness,
        adjust_sigma=arguments.adjust_sigma,
    )
    request = msgspec.structs.replace(context.request, **changes)
    work = Work(request, context.pictures, extra=extra, inversion=inversion)
    context.check(work)

    def play(run: ScriptRun) -> ScriptOutcome:
        made = run.generate(work)
        info = made.info
        return ScriptOutcome(made.pictures, info.infotexts, info, info.index_of_first_image)

    return play
