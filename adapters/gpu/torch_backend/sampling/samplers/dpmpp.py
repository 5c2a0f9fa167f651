"""DPM-Solver++: exponential integrators on the denoised prediction, in log SNR.

Lu et al. 2022b (arXiv:2211.01095).
"""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import expm1
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import (
    ancestral_split,
    from_log_snr,
    log_snr,
    slope,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def dpmpp_2m(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++(2M): second order from the previous step's prediction."""
    past: tuple[Tensor, Tensor] | None = None  # log SNR and prediction
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        now, then = log_snr(sigma), log_snr(following)
        step = then - now
        direction = denoised
        if past and following != 0:
            before, previous = past
            ratio = (now - before) / step
            direction = (1 + 1 / (2 * ratio)) * denoised - (1 / (2 * ratio)) * previous
        x = (from_log_snr(then) / from_log_snr(now)) * x - expm1(-step) * direction
        past = now, denoised
    return x


def dpmpp_2s_ancestral(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++(2S): second order from a prediction halfway, with ancestral noise."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        down, up = ancestral_split(sigma, following, run.eta)
        if down == 0:
            x = x + slope(x, sigma, denoised) * (down - sigma)
        else:
            now, then = log_snr(sigma), log_snr(down)
            step = then - now
            middle = now + 0.5 * step
            halfway = (from_log_snr(middle) / from_log_snr(now)) * x
            halfway = halfway - expm1(-step * 0.5) * denoised
            denoised = yield halfway, from_log_snr(middle)
            x = (from_log_snr(then) / from_log_snr(now)) * x - expm1(-step) * denoised
        if following > 0:
            x = x + run.noise() * run.s_noise * up
    return x


def dpmpp_sde(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++ (stochastic), second order, r = 1/2, on Brownian noise."""
    assert run.brownian is not None, "DPM++ SDE needs Brownian noise"
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            x = x + slope(x, sigma, denoised) * (following - sigma)
            continue
        now, then = log_snr(sigma), log_snr(following)
        middle = now + (then - now) * 0.5

        halfway = _noisy_step(x, denoised, now, middle, run)
        denoised = yield halfway, from_log_snr(middle)
        # With r = 1/2 the two predictions weigh 0 and 1.
        x = _noisy_step(x, denoised, now, then, run)
    return x


def _noisy_step(x: Tensor, denoised: Tensor, now: Tensor, then: Tensor, run: SamplerRun) -> Tensor:
    """From log SNR `now` to `then`: a first-order step down, and Brownian noise back up."""
    assert run.brownian is not None
    here, there = from_log_snr(now), from_log_snr(then)
    down, up = ancestral_split(here, there, run.eta)
    target = log_snr(down)
    x = (from_log_snr(target) / here) * x - expm1(now - target) * denoised
    return x + run.brownian(here, there) * run.s_noise * up
