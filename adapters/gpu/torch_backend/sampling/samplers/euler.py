"""Euler's method, plain and ancestral."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import (
    ancestral_split,
    churn,
    slope,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def euler(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Karras et al. 2022 (arXiv:2206.00364), Alg. 2 without the corrector."""
    for sigma, following in pairwise(sigmas):
        x, raised = churn(x, sigma, len(sigmas) - 1, run)
        denoised = yield x, raised
        x = x + slope(x, raised, denoised) * (following - raised)
    return x


def euler_ancestral(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Euler steps that overshoot and put fresh noise back (spec sampling.md 4.5)."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        down, up = ancestral_split(sigma, following, run.eta)
        x = x + slope(x, sigma, denoised) * (down - sigma)
        if following > 0:
            x = x + run.noise() * run.s_noise * up
    return x
