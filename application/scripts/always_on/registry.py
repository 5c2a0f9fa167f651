"""The registry of always-on scripts, in the order of A1111's lists, in which they take effect.

Source: spec scripts.md 2 and 3.
"""

from hexfusion.application.scripts.always_on import (
    comments,
    extra_options,
    hypertile,
    refiner,
    sampler,
    seed,
    soft_inpainting,
)
from hexfusion.application.scripts.always_on.script import AlwaysOn

SCRIPTS: tuple[AlwaysOn, ...] = (
    extra_options.SCRIPT,
    hypertile.SCRIPT,
    soft_inpainting.SCRIPT,
    comments.SCRIPT,
    refiner.SCRIPT,
    sampler.SCRIPT,
    seed.SCRIPT,
)
