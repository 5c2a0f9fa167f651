"""Inversion: finds the noise that samples to a given picture. Source: spec scripts.md 12.

Euler's method over the model's sigmas in rising order, from 0 to the highest.
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
    """The first noise (B, C, H, W) of a pass that starts from `latents` and returns to them.

    `sampling` is the pass's, `conditioning` has the texts that describe the picture. `noise` is
    mixed in by the share `inversion.randomness`, 0 to 1.
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
    """Each step uses the slope at the sigma where it ends."""
    for level, following in pairwise(levels):
        denoised = yield x, following
        x = x + (x - denoised) / following * (following - level)
    return x / x.std()


def _adjusted(x: Tensor, levels: Tensor) -> Trajectory:
    """Each step uses the slope at the sigma where it begins; there is none at sigma 0."""
    for level, following in pairwise(levels[1:]):
        denoised = yield x, level
        x = x + (x - denoised) / level * (following - level)
    return x / levels[-1]
