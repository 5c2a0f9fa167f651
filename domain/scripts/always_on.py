"""The scripts that are always on, as clients list them. Source: spec scripts.md 2, 3 and 14.

Most belong to A1111's form; their effect is had through fields of the request
(`sampler_name`, `seed`, `refiner_checkpoint`) and options (`hypertile_*`).
"""

from collections.abc import Sequence

import msgspec

from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.sampling.schedulers import SCHEDULERS
from hexfusion.domain.scripts import extra_options
from hexfusion.domain.scripts.form import Script, ScriptArgument
from hexfusion.domain.soft_inpainting import TITLE


def txt2img_scripts(
    checkpoints: Sequence[str],
    hidden_samplers: Sequence[str] = (),
    extra: tuple[ScriptArgument, ...] = (),
) -> list[Script]:
    """Those of text-to-image, in order.

    `checkpoints` are the titles a refiner is chosen from, `hidden_samplers` the names that option
    `hide_samplers` keeps out of forms, `extra` the options that are arguments.
    """
    return [
        Script(name=extra_options.TITLE, arguments=extra),
        Script(name="Hypertile", arguments=None),
        Script(name="refiner", arguments=_refiner(checkpoints)),
        Script(name="sampler", arguments=_sampler(hidden_samplers)),
        Script(name="seed", arguments=_SEED),
    ]


def img2img_scripts(
    checkpoints: Sequence[str],
    hidden_samplers: Sequence[str] = (),
    extra: tuple[ScriptArgument, ...] = (),
) -> list[Script]:
    """Those of image-to-image, in order; the same ones, and soft inpainting before the refiner."""
    *first, refiner, sampler, seed = txt2img_scripts(checkpoints, hidden_samplers, extra)
    scripts = [*first, Script(name=TITLE, arguments=_SOFT_INPAINTING), refiner, sampler, seed]
    return [msgspec.structs.replace(each, of_pictures=True) for each in scripts]


def _refiner(checkpoints: Sequence[str]) -> tuple[ScriptArgument, ...]:
    return (
        ScriptArgument("Refiner", False),
        ScriptArgument("Checkpoint", "", choices=tuple(checkpoints)),
        ScriptArgument("Switch at", 0.8, 0.01, 1.0, 0.01),
    )


def _sampler(hidden: Sequence[str]) -> tuple[ScriptArgument, ...]:
    samplers = tuple(each.name for each in SAMPLERS if each.name not in hidden)
    schedules = tuple(each.label for each in SCHEDULERS)
    return (
        ScriptArgument("Sampling steps", 20, 1, 150, 1),
        ScriptArgument("Sampling method", samplers[0] if samplers else None, choices=samplers),
        ScriptArgument("Schedule type", schedules[0], choices=schedules),
    )


_SOFT_INPAINTING = (
    ScriptArgument("Soft inpainting", False),
    ScriptArgument("Schedule bias", 1, 0, 8, 0.1),
    ScriptArgument("Preservation strength", 0.5, 0, 8, 0.05),
    ScriptArgument("Transition contrast boost", 4, 1, 32, 0.5),
    ScriptArgument("Mask influence", 0, 0, 1, 0.05),
    ScriptArgument("Difference threshold", 0.5, 0, 8, 0.25),
    ScriptArgument("Difference contrast", 2, 0, 8, 0.25),
)

_SEED = (
    ScriptArgument("Seed", -1, step=1),
    ScriptArgument("Extra", False),
    ScriptArgument("Variation seed", -1, step=1),
    ScriptArgument("Variation strength", 0.0, 0, 1, 0.01),
    ScriptArgument("Resize seed from width", 0, 0, 2048, 8),
    ScriptArgument("Resize seed from height", 0, 0, 2048, 8),
)
