"""Noise schedules: the falling sigmas a sampler steps through.

Source: spec sampling.md 3. A schedule function takes the number of steps and returns a float32 CPU
tensor; all but KL Optimal end in 0. `build_sigmas` applies the rules around them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.beta_distribution import beta_quantile
from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import atan, exp, power, tan
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import NoiseTable
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.samplers import Sampler
from hexfusion.domain.sampling.schedulers import AUTOMATIC, NO_RHO, Scheduler, find_scheduler

OLD_KARRAS_LIMITS = (0.1, 10.0)

#: The levels of Align Your Steps that were found for a model.
AYS_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
AYS_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


@dataclass(frozen=True, kw_only=True)
class ScheduleInputs:
    """What a schedule may draw on besides the number of steps."""

    table: NoiseTable
    sigma_min: float
    sigma_max: float
    rho: float = NO_RHO
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    align_your_steps: Sequence[float] = AYS_SD1


def build_sigmas(
    table: NoiseTable,
    scheduler: str,
    sampler: Sampler,
    steps: int,
    options: SamplingOptions,
    *,
    align_your_steps: Sequence[float] = AYS_SD1,
) -> Tensor:
    """The sigmas of a run: (steps + 1,) float32 on the CPU, falling, from the largest.

    `scheduler` is a label or internal name; "Automatic" is the sampler's default, and the model's
    uniform spacing where it has none. `align_your_steps` are the eleven levels of the schedule of
    this name. Schedule "DDIM" may return a different count.
    """
    discard = sampler.discard_penultimate or options.always_discard_next_to_last_sigma
    count = steps + 1 if discard else steps
    sigmas = _spaced(table, _resolve(scheduler, sampler), count, options, align_your_steps)
    return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas


def _resolve(scheduler: str, sampler: Sampler) -> Scheduler:
    found = find_scheduler(scheduler)
    return find_scheduler(sampler.default_schedule) if found is AUTOMATIC else found


def _spaced(
    table: NoiseTable,
    scheduler: Scheduler,
    count: int,
    options: SamplingOptions,
    align_your_steps: Sequence[float],
) -> Tensor:
    if scheduler is AUTOMATIC:
        return table.uniform(count)
    sigma_min, sigma_max = table.sigma_min, table.sigma_max
    if options.use_old_karras_scheduler_sigmas:
        sigma_min, sigma_max = OLD_KARRAS_LIMITS
    inputs = ScheduleInputs(
        table=table,
        sigma_min=options.sigma_min or sigma_min,
        sigma_max=options.sigma_max or sigma_max,
        rho=(options.rho if scheduler.default_rho != NO_RHO else 0) or scheduler.default_rho,
        beta_alpha=options.beta_dist_alpha,
        beta_beta=options.beta_dist_beta,
        align_your_steps=align_your_steps,
    )
    return SCHEDULES[scheduler.name](count, inputs)


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Karras et al. 2022 (arXiv:2206.00364), equation 5: evenly spaced in sigma^(1/rho)."""
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return _then_zero(power(high + ramp * (low - high), rho))


def _uniform(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Evenly spaced in the model's training time."""
    return inputs.table.uniform(steps)


def _karras(steps: int, inputs: ScheduleInputs) -> Tensor:
    return karras_sigmas(steps, inputs.sigma_min, inputs.sigma_max, inputs.rho)


def _exponential(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Evenly spaced in log sigma."""
    logs = torch.linspace(math.log(inputs.sigma_max), math.log(inputs.sigma_min), steps)
    return _then_zero(exp(logs))


def _polyexponential(steps: int, inputs: ScheduleInputs) -> Tensor:
    """A power of a ramp, in log sigma."""
    low, high = math.log(inputs.sigma_min), math.log(inputs.sigma_max)
    ramp = power(torch.linspace(1, 0, steps), inputs.rho)
    return _then_zero(exp(ramp * (high - low) + low))


def _sgm_uniform(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Evenly spaced in time, stopping one stride short (Stability's generative-models)."""
    return _then_zero(inputs.table.t_to_sigma(_times_between_limits(steps + 1, inputs)[:-1]))


def _normal(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Evenly spaced in time between the limits."""
    return _then_zero(inputs.table.t_to_sigma(_times_between_limits(steps, inputs)))


def _kl_optimal(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Sabour et al. 2024 (arXiv:2404.14507), appendix: evenly spaced in arctan sigma; no zero."""
    low, high = torch.tensor(inputs.sigma_min), torch.tensor(inputs.sigma_max)
    share = torch.arange(steps + 1, dtype=torch.float32) / steps
    return tan(share * atan(low) + (1 - share) * atan(high))


def _align_your_steps(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Sabour et al. 2024 (arXiv:2404.14507): eleven optimised levels, log-interpolated."""
    levels = inputs.align_your_steps
    if steps != len(levels):
        levels = _log_interpolated(levels, steps)
    return _then_zero(torch.tensor(levels))


def _simple(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Every n-th entry of the model's table, from the top."""
    table = inputs.table
    stride = len(table) / steps
    return _then_zero(table.sigmas[[len(table) - 1 - int(i * stride) for i in range(steps)]])


def _ddim(steps: int, inputs: ScheduleInputs) -> Tensor:
    """The DDIM sampler's times as sigmas; there may be more of them than `steps`."""
    stride = max(len(inputs.table) // steps, 1)
    return _then_zero(inputs.table.sigmas[1::stride].flip(0))


def _beta(steps: int, inputs: ScheduleInputs) -> Tensor:
    """Lee et al. 2024 (arXiv:2407.12173): quantiles of a beta distribution."""
    span = inputs.sigma_max - inputs.sigma_min
    levels = [
        inputs.sigma_min + span * beta_quantile(1 - share, inputs.beta_alpha, inputs.beta_beta)
        for share in _evenly(0.0, 1.0, steps)
    ]
    return _then_zero(torch.tensor(levels))


SCHEDULES: Mapping[str, Callable[[int, ScheduleInputs], Tensor]] = {
    "uniform": _uniform,
    "karras": _karras,
    "exponential": _exponential,
    "polyexponential": _polyexponential,
    "sgm_uniform": _sgm_uniform,
    "kl_optimal": _kl_optimal,
    "align_your_steps": _align_your_steps,
    "simple": _simple,
    "normal": _normal,
    "ddim": _ddim,
    "beta": _beta,
}


def _then_zero(sigmas: Tensor) -> Tensor:
    """In float32, also where a downcast table gave half."""
    return torch.cat([sigmas.to(torch.float32), torch.zeros(1)])


def _times_between_limits(count: int, inputs: ScheduleInputs) -> Tensor:
    table = inputs.table
    first = table.sigma_to_t(torch.tensor(inputs.sigma_max))
    last = table.sigma_to_t(torch.tensor(inputs.sigma_min))
    return torch.linspace(first.item(), last.item(), count)


def _evenly(start: float, stop: float, count: int) -> list[float]:
    """`count` evenly spaced doubles, ends included; a single one is the start."""
    return [start + (stop - start) * (i / (count - 1)) if i else start for i in range(count)]


def _log_interpolated(levels: Sequence[float], count: int) -> list[float]:
    """`count` levels on the polyline through the log levels. One level alone is the last."""
    rising = [math.log(level) for level in reversed(levels)]
    segments = list(pairwise(rising))
    points = []
    for position in _evenly(0.0, len(segments), count):
        left = min(int(position), len(segments) - 1)
        start, end = segments[left]
        points.append(math.exp(start + (end - start) * (position - left)))
    return points[::-1]
