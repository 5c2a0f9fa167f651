"""DPM-Solver fast and adaptive: they make their own steps in log SNR.

Lu et al. 2022 (arXiv:2206.00927), with ancestral noise added.
"""

import math
from collections.abc import Generator

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import expm1, sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.step_formulas import (
    ancestral_split,
    from_log_snr,
    log_snr,
    slope,
)
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import (
    SamplerRun,
    SigmaLimits,
    Trajectory,
)

ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE = 0.0078, 0.05
FIRST_STEP = 0.05
ACCEPT = 0.81
END_TOLERANCE = 1e-5
TINY = 1e-8

Noises = Generator[tuple[Tensor, Tensor], Tensor, Tensor]


def dpm_fast(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver-fast: third-order steps, and a lower one or two to use up the calls exactly."""
    limits = run.limits or _limits_of(sigmas)
    if limits.sigma_min == limits.sigma_max:
        return (yield x, torch.tensor(limits.sigma_max))
    count = limits.steps // 3 + 1
    remainder = limits.steps % 3
    orders = [3] * (count - 1) + [remainder] if remainder else [3] * (count - 2) + [2, 1]
    first, last = _range(limits)
    grid = torch.linspace(first.item(), last.item(), count + 1)
    for order, now, then in zip(orders, grid[:-1], grid[1:], strict=True):
        target, up = _descend(now, then, last, run.eta)
        noise = yield from _noise_at(x, now)
        x = yield from _step(x, now, target, noise, order)
        x = x + up * run.s_noise * run.noise()
    return x


def dpm_adaptive(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """DPM-Solver-23: the step grows and shrinks with the difference of two orders.

    One step size for the whole batch, so here a picture does depend on its neighbours.
    """
    limits = run.limits or _limits_of(sigmas)
    if limits.sigma_min == limits.sigma_max:
        return (yield x, torch.tensor(limits.sigma_max))
    now, last = _range(limits)
    order = 1.5 if run.eta else 3
    step, previous = FIRST_STEP, x
    while now < last - END_TOLERANCE:
        then = (now + step).minimum(last)
        target, up = _descend(now, then, last, run.eta)
        low, high = yield from _both_orders(x, now, target)
        allowed = (RELATIVE_TOLERANCE * low.abs().maximum(previous.abs())).clamp(
            min=ABSOLUTE_TOLERANCE
        )
        error = (torch.linalg.norm((low - high) / allowed) / x.numel() ** 0.5).item()
        factor = 1 + math.atan((1 / (error + TINY)) ** (1 / order) - 1)
        if factor >= ACCEPT:
            previous, now = low, then
            x = high + up * run.s_noise * run.noise()
        step *= factor
    return x


def _limits_of(sigmas: Tensor) -> SigmaLimits:
    """img2img: the range of the schedule that is left, without its final zero."""
    return SigmaLimits(
        sigma_min=sigmas[-2].item(), sigma_max=sigmas[0].item(), steps=len(sigmas) - 1
    )


def _range(limits: SigmaLimits) -> tuple[Tensor, Tensor]:
    return log_snr(torch.tensor(limits.sigma_max)), log_snr(torch.tensor(limits.sigma_min))


def _descend(now: Tensor, then: Tensor, last: Tensor, eta: float) -> tuple[Tensor, Tensor | float]:
    """Where to step to, and how much noise brings it back up to `then`."""
    if not eta:
        return then, 0.0
    down, _ = ancestral_split(from_log_snr(now), from_log_snr(then), eta)
    target = log_snr(down).minimum(last)
    return target, sqrt(from_log_snr(then) ** 2 - from_log_snr(target) ** 2)


def _noise_at(x: Tensor, time: Tensor) -> Noises:
    """The predicted noise: what the model's denoised answer says is left in x."""
    sigma = from_log_snr(time)
    denoised = yield x, sigma
    return slope(x, sigma, denoised)


def _step(x: Tensor, now: Tensor, then: Tensor, noise: Tensor, order: int) -> Trajectory:
    if order == 1:
        return x - from_log_snr(then) * expm1(then - now) * noise
    if order == 2:
        ahead = yield from _probe(x, now, then, noise, 0.5)
        return _second_order(x, now, then, noise, ahead, 0.5)
    ahead = yield from _probe(x, now, then, noise, 1 / 3)
    return (yield from _third_order(x, now, then, noise, ahead))


def _both_orders(
    x: Tensor, now: Tensor, then: Tensor
) -> Generator[tuple[Tensor, Tensor], Tensor, tuple[Tensor, Tensor]]:
    """The second- and third-order answers to one step; they share two of three model calls."""
    noise = yield from _noise_at(x, now)
    ahead = yield from _probe(x, now, then, noise, 1 / 3)
    low = _second_order(x, now, then, noise, ahead, 1 / 3)
    high = yield from _third_order(x, now, then, noise, ahead)
    return low, high


def _probe(x: Tensor, now: Tensor, then: Tensor, noise: Tensor, share: float) -> Noises:
    """The noise predicted a `share` of the step ahead, reached in first order."""
    step = then - now
    between = now + share * step
    there = x - from_log_snr(between) * expm1(share * step) * noise
    return (yield from _noise_at(there, between))


def _second_order(
    x: Tensor, now: Tensor, then: Tensor, noise: Tensor, ahead: Tensor, share: float
) -> Tensor:
    sigma, growth = from_log_snr(then), expm1(then - now)
    return x - sigma * growth * noise - sigma / (2 * share) * growth * (ahead - noise)


def _third_order(x: Tensor, now: Tensor, then: Tensor, noise: Tensor, ahead: Tensor) -> Trajectory:
    near, far = 1 / 3, 2 / 3
    step = then - now
    between = now + far * step
    sigma, growth = from_log_snr(between), expm1(far * step)
    bend = sigma * (far / near) * (growth / (far * step) - 1)
    there = x - sigma * growth * noise - bend * (ahead - noise)
    further = yield from _noise_at(there, between)
    sigma, growth = from_log_snr(then), expm1(step)
    return x - sigma * growth * noise - sigma / far * (growth / step - 1) * (further - noise)
