"""DPM-Solver-2: the slope at the geometric midpoint carries the whole step."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import exp, log
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import (
    ancestral_split,
    churn,
    slope,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def dpm2(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Lu et al. 2022 (arXiv:2206.00927), DPM-Solver-2, with Karras et al.'s churn."""
    for sigma, following in pairwise(sigmas):
        x, raised = churn(x, sigma, len(sigmas) - 1, run)
        x = yield from _midpoint_step(x, raised, following)
    return x


def dpm2_ancestral(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """The same step, overshooting and putting fresh noise back."""
    for sigma, following in pairwise(sigmas):
        down, up = ancestral_split(sigma, following, run.eta)
        x = yield from _midpoint_step(x, sigma, down)
        if down > 0:
            x = x + run.noise() * run.s_noise * up
    return x


def _midpoint_step(x: Tensor, sigma: Tensor, following: Tensor) -> Trajectory:
    denoised = yield x, sigma
    first = slope(x, sigma, denoised)
    if following == 0:
        return x + first * (following - sigma)
    middle = exp(log(sigma).lerp(log(following), 0.5))
    halfway = x + first * (middle - sigma)
    denoised = yield halfway, middle
    return x + slope(halfway, middle, denoised) * (following - sigma)
