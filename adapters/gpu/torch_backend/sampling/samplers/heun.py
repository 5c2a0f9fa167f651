"""Heun's method: an Euler step, corrected by the slope where it lands."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import churn, slope
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def heun(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Karras et al. 2022 (arXiv:2206.00364), Alg. 2."""
    for sigma, following in pairwise(sigmas):
        x, raised = churn(x, sigma, len(sigmas) - 1, run)
        x = yield from heun_step(x, raised, following)
    return x


def heun_step(x: Tensor, sigma: Tensor, following: Tensor) -> Trajectory:
    """One step from `sigma` to `following`; to zero it is Euler's, having no slope there."""
    denoised = yield x, sigma
    first = slope(x, sigma, denoised)
    ahead = x + first * (following - sigma)
    if following == 0:
        return ahead
    denoised = yield ahead, following
    second = slope(ahead, following, denoised)
    return x + (first + second) / 2 * (following - sigma)
