"""Restart sampling: go down, jump back up with fresh noise, go down again."""

from itertools import pairwise

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.heun import heun_step
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import karras_sigmas

RESTART_LOW, RESTART_HIGH = 0.1, 2.0
FEWEST_STEPS = 20
TWICE_FROM = 36


def restart(x: Tensor, sigmas: Tensor, run: SamplerRun) -> Trajectory:
    """Xu et al. 2023 (arXiv:2306.14878), on Heun steps.

    From 20 steps on the given schedule is replaced by a Karras one of the same range, and part of
    the steps is spent on going down from about 2 to about 0.1 again.
    """
    reached = None
    for sigma, following in _intervals(sigmas):
        if reached is not None and sigma > reached:
            x = x + run.noise() * run.s_noise * sqrt(sigma**2 - reached**2)
        x = yield from heun_step(x, sigma, following)
        reached = following
    return x


def _intervals(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Every (from, to) of the run, restarts included; as many as the schedule has steps."""
    steps = len(sigmas) - 1
    if steps < FEWEST_STEPS:
        return list(pairwise(sigmas))
    length, times = (steps // 4, 2) if steps >= TWICE_FROM else (9, 1)
    sigmas = karras_sigmas(steps - length * times, sigmas[-2].item(), sigmas[0].item())
    low = int((sigmas - RESTART_LOW).abs().argmin())
    high = int((sigmas - RESTART_HIGH).abs().argmin())
    down = list(pairwise(sigmas))
    if high >= low:
        return down
    again = karras_sigmas(length + 1, sigmas[low].item(), sigmas[high].item())[:-1]
    return down[:low] + list(pairwise(again)) * times + down[low:]
