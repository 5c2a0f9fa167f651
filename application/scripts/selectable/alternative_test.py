"""img2img alternative test: from the noise that leads to a picture. Source: spec scripts.md 12."""

from typing import Any

import msgspec

from hexfusion.application.scripts.selectable.stage import Outcome, Play, Setting, Stage, Work
from hexfusion.domain.infotext import Extra
from hexfusion.domain.plan import Inversion
from hexfusion.domain.scripts.alternative_test import AlternativeTest


def alternative_test(arguments: AlternativeTest, setting: Setting) -> Play:
    """Look for the noise of the picture as it was described, and make it anew from there."""
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
    request = msgspec.structs.replace(setting.request, **changes)
    work = Work(request, setting.pictures, extra=extra, inversion=inversion)
    setting.check(work)

    def play(stage: Stage) -> Outcome:
        made = stage.generate(work)
        info = made.info
        return Outcome(made.pictures, info.infotexts, info, info.index_of_first_image)

    return play
