"""The noise that leads to a picture, found by sampling backwards. Source: spec scripts.md 12.

Euler's method over the model's own levels from none to the highest: a sampler like the others,
whose levels rise.
"""

from itertools import pairwise

import torch
from msgspec.structs import replace
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.guidance import Conditioning
from hexfusion.adapters.gpu.torch_backend.sampling.loop import sample
from hexfusion.adapters.gpu.torch_backend.sampling.passes import (
    LatentModel,
    guided_denoiser,
    model_sigmas,
    never_stop,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import Trajectory
from hexfusion.domain.plan import Inversion, SamplingPlan
from hexfusion.domain.sampling.samplers import BY_NAME
from hexfusion.domain.sampling.schedulers import AUTOMATIC


@torch.inference_mode()
def find_noise(
    model: LatentModel,
    sampling: SamplingPlan,
    conditioning: Conditioning,
    latents: Tensor,
    noise: Tensor,
    inversion: Inversion,
) -> Tensor:
    """What to start a pass from `latents` (B, C, H, W) with, so that it leads back to them.

    `sampling` is the pass's, `conditioning` the texts that describe the picture, `noise` is mixed
    in by the share `inversion.randomness`.
    """
    finding = SamplingPlan(
        sampler=BY_NAME["Euler"],
        scheduler=AUTOMATIC.label,
        steps=inversion.steps,
        cfg_scale=inversion.cfg_scale,
    )
    levels = model_sigmas(model, finding).flip(0)
    backwards = _adjusted if inversion.adjust_sigma else _backwards
    denoiser = guided_denoiser(model, finding, conditioning)
    found = sample(backwards(latents, levels), denoiser, never_stop)
    share = inversion.randomness
    mixed = ((1 - share) * found + share * noise) / (share**2 + (1 - share) ** 2) ** 0.5
    highest = model_sigmas(model, replace(finding, steps=sampling.steps))[0]
    return mixed - latents / highest


def _backwards(x: Tensor, levels: Tensor) -> Trajectory:
    """Each step is taken by the slope at the level that it leads to."""
    for level, following in pairwise(levels):
        denoised = yield x, following
        x = x + (x - denoised) / following * (following - level)
    return x / x.std()


def _adjusted(x: Tensor, levels: Tensor) -> Trajectory:
    """Each step is taken by the slope at the level that it leaves; from none there is none."""
    for level, following in pairwise(levels[1:]):
        denoised = yield x, level
        x = x + (x - denoised) / level * (following - level)
    return x / levels[-1]
