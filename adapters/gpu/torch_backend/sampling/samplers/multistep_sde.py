"""DPM-Solver++ multistep SDE solvers: order from past predictions, noise from a Brownian path.

Lu et al. 2022b (arXiv:2211.01095), in the forms of spec sampling.md 4.10 and 4.11.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import exp, expm1, log, sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory

Correction = Callable[[Tensor, Tensor], Tensor]
"""(expm1 weight E, exponent -h - eta h) -> weight of the second-order term."""


def dpmpp_2m_sde(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++(2M) SDE, midpoint form."""
    return (yield from _two_steps(x, sigmas, run, lambda weight, exponent: 0.5 * weight))


def dpmpp_2m_sde_heun(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++(2M) SDE, Heun form."""
    return (yield from _two_steps(x, sigmas, run, lambda weight, exponent: weight / exponent + 1))


def _two_steps(x: Tensor, sigmas: Tensor, run: SamplerRun, correction: Correction) -> Trajectory:
    previous, step_before = None, None
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        step = log(sigma) - log(following)
        damping = run.eta * step
        weight = -expm1(-step - damping)
        x_scaled = following / sigma * exp(-damping) * x
        if previous is None or step_before is None:
            x = x_scaled + weight * denoised
        else:
            second = correction(weight, -step - damping) * (1 / (step_before / step))
            x = x_scaled + weight * denoised + second * (denoised - previous)
        if run.eta:
            x = x + _fresh_noise(sigma, following, -2 * damping, run)
        previous, step_before = denoised, step
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver++(3M) SDE: up to two past predictions."""
    past: list[tuple[Tensor, Tensor]] = []  # (denoised, step that followed), newest first
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        step = log(sigma) - log(following)
        span = step * (run.eta + 1)
        x = exp(-span) * x + -expm1(-span) * denoised
        if past:
            x = _higher_orders(x, denoised, step, span, past)
        if run.eta:
            x = x + _fresh_noise(sigma, following, -2 * step * run.eta, run)
        past = [(denoised, step), *past[:1]]
    return x


def _higher_orders(
    x: Tensor, denoised: Tensor, step: Tensor, span: Tensor, past: list[tuple[Tensor, Tensor]]
) -> Tensor:
    phi2 = expm1(-span) / span + 1
    newest, newest_step = past[0]
    ratio0 = newest_step / step
    slope0 = (denoised - newest) / ratio0
    if len(past) == 1:
        return x + phi2 * slope0
    older, older_step = past[1]
    ratio1 = older_step / step
    slope1 = (newest - older) / ratio1
    first = slope0 + (slope0 - slope1) * ratio0 / (ratio0 + ratio1)
    second = (slope0 - slope1) / (ratio0 + ratio1)
    phi3 = phi2 / span - 0.5
    return x + phi2 * first - phi3 * second


def _fresh_noise(sigma: Tensor, following: Tensor, exponent: Tensor, run: SamplerRun) -> Tensor:
    assert run.brownian is not None, "an SDE sampler needs Brownian noise"
    spread = sqrt(-expm1(exponent))
    return run.brownian(sigma, following) * following * spread * run.s_noise
