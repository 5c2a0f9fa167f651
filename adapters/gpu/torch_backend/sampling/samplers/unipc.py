"""UniPC: a predictor-corrector of any order on the clean prediction.

Zhao et al. 2023 (arXiv:2302.04867), multistep, data prediction (spec sampling.md 4.19). It steps
through a continuous time in (0, 1] and uses no more of the timestep list than its length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import factorial

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import exp, expm1, log, sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory
from hexfusion.domain.sampling.options import UniPCSkipType

TRAIN_TIMESTEPS = 1000
END = 1 / TRAIN_TIMESTEPS


@dataclass(frozen=True, eq=False)
class Moment:
    """A time of the run: 0-dim tensors. `log_snr` is ln(alpha / sigma)."""

    time: Tensor
    alpha: Tensor
    sigma: Tensor
    log_snr: Tensor

    def model_time(self) -> Tensor:
        return (self.time - END) * TRAIN_TIMESTEPS


Past = list[tuple[Moment, Tensor]]
"""Moments and the clean latents predicted there, newest first."""

Correct = Callable[[Tensor], Tensor]
"""From the clean latent predicted at the target to the corrected x."""


def unipc(x: Tensor, timesteps: Tensor, run: SamplerRun) -> Trajectory:
    """One model call per step: the corrector's evaluation is the next predictor's history.

    With fewer steps than the order, the order is lowered to the number of steps.
    """
    options, steps = run.options, len(timesteps)
    if not steps:
        return x
    order = min(options.uni_pc_order, steps)
    update = _vary_coefficients if options.uni_pc_variant == "vary_coeff" else _b_of_h
    start, *targets = _moments(timesteps, run)
    past: Past = [(start, (yield from _predict(x, start)))]
    for step, target in enumerate(targets, 1):
        order_now = step if step < order else order
        if step >= order and options.uni_pc_lower_order_final:
            order_now = min(order, steps + 1 - step)
        x, correct = update(x, target, past[:order_now], options.uni_pc_variant)
        if step < steps:
            clean = yield from _predict(x, target)
            x = correct(clean)
            past = [(target, clean), *past[: order - 1]]
    return x


def _predict(x: Tensor, at: Moment) -> Trajectory:
    """The clean latent seen from x."""
    noise = yield x, at.model_time()
    return (x - at.sigma * noise) / at.alpha


@dataclass(frozen=True, eq=False)
class _Step:
    """What both variants start from: spans, differences to the newest, first-order answer."""

    ratios: Tensor
    differences: list[Tensor]
    newest: Tensor
    negated_span: Tensor
    first_order: Tensor


def _prepare(x: Tensor, target: Moment, past: Past) -> _Step:
    origin, newest = past[0]
    span = target.log_snr - origin.log_snr
    ratios = [(moment.log_snr - origin.log_snr) / span for moment, _ in past[1:]]
    differences = [
        (clean - newest) / ratio for (_, clean), ratio in zip(past[1:], ratios, strict=True)
    ]
    decay = expm1(-span)
    return _Step(
        ratios=torch.stack([*ratios, torch.ones(())]),
        differences=differences,
        newest=newest,
        negated_span=-span,
        first_order=target.sigma / origin.sigma * x - target.alpha * decay * newest,
    )


def _b_of_h(x: Tensor, target: Moment, past: Past, variant: str) -> tuple[Tensor, Correct]:
    """Variants bh1 (B = h) and bh2 (B = e^h - 1): weights from a Vandermonde system."""
    step, order = _prepare(x, target, past), len(past)
    scale = step.negated_span if variant == "bh1" else expm1(step.negated_span)
    matrix = torch.stack([step.ratios**j for j in range(order)])
    phis = _phis(step.negated_span, order)[1:]
    right = torch.stack([phi * factorial(k) / scale for k, phi in enumerate(phis, 1)])

    def answer(weights: Tensor, differences: list[Tensor]) -> Tensor:
        return step.first_order - target.alpha * scale * _weighted(weights, differences)

    def correct(clean: Tensor) -> Tensor:
        weights = torch.full((1,), 0.5) if order == 1 else torch.linalg.solve(matrix, right)
        return answer(weights, [*step.differences, clean - step.newest])

    if order == 1:
        return step.first_order, correct
    if order == 2:
        return answer(torch.full((1,), 0.5), step.differences), correct
    weights = torch.linalg.solve(matrix[:-1, :-1], right[:-1])
    return answer(weights, step.differences), correct


def _vary_coefficients(
    x: Tensor, target: Moment, past: Past, variant: str
) -> tuple[Tensor, Correct]:
    """Variant vary_coeff: each phi function gets its own combination of the differences."""
    step, order = _prepare(x, target, past), len(past)
    columns = [step.ratios**k / factorial(k + 1) for k in range(order)]
    matrix = torch.stack(columns, dim=1)
    phis = _phis(step.negated_span, order)[1:]

    def answer(inverse: Tensor) -> Tensor:
        result = step.first_order
        for k in range(order - 1):
            mixed = _weighted(inverse[k, : order - 1], step.differences)
            result = result - target.alpha * phis[k] * mixed
        return result

    def correct(clean: Tensor) -> Tensor:
        inverse = torch.linalg.inv(matrix)
        last = phis[order - 1] * inverse[max(order - 2, 0), order - 1]
        return answer(inverse) - target.alpha * last * (clean - step.newest)

    if order == 1:
        return step.first_order, correct
    return answer(torch.linalg.inv(matrix[:-1, :-1])), correct


def _weighted(weights: Tensor, differences: list[Tensor]) -> Tensor:
    terms = [weight * difference for weight, difference in zip(weights, differences, strict=True)]
    return sum(terms[1:], terms[0])


def _phis(negated_span: Tensor, order: int) -> list[Tensor]:
    """phi_0 .. phi_order: phi_0 = e^hh - 1, phi_k = phi_(k-1) / hh - 1 / k!."""
    return list(
        accumulate(
            range(1, order + 1),
            lambda phi, k: phi / negated_span - 1 / factorial(k),
            initial=expm1(negated_span),
        )
    )


def _moments(timesteps: Tensor, run: SamplerRun) -> list[Moment]:
    """The run's steps + 1 moments, from the noisiest (spec 4.19, grid)."""
    assert run.alphas_cumprod is not None, "UniPC needs alphas_cumprod"
    log_alphas = 0.5 * log(run.alphas_cumprod.to(torch.float32))
    knots = torch.linspace(0, 1, len(log_alphas) + 1)[1:]
    start = 1.0
    if run.from_image:
        start = (timesteps[-1].to(torch.float32) / TRAIN_TIMESTEPS + END).item()
    return [
        _moment(time, knots, log_alphas)
        for time in _grid(run.options.uni_pc_skip_type, start, len(timesteps), knots, log_alphas)
    ]


def _moment(time: Tensor, knots: Tensor, log_alphas: Tensor) -> Moment:
    log_alpha = _interpolate(time, knots, log_alphas)
    rest = 1 - exp(2 * log_alpha)
    return Moment(
        time=time,
        alpha=exp(log_alpha),
        sigma=sqrt(rest),
        log_snr=log_alpha - 0.5 * log(rest),
    )


def _grid(
    skip_type: UniPCSkipType, start: float, steps: int, knots: Tensor, log_alphas: Tensor
) -> Tensor:
    if skip_type == "time_uniform":
        return torch.linspace(start, END, steps + 1)
    if skip_type == "time_quadratic":
        return torch.linspace(start**0.5, END**0.5, steps + 1) ** 2
    first, last = (
        _moment(torch.tensor(time), knots, log_alphas).log_snr.item() for time in (start, END)
    )
    log_snrs = torch.linspace(first, last, steps + 1)
    target = -0.5 * torch.logaddexp(torch.zeros(1), -2 * log_snrs)
    return _interpolate(target, log_alphas.flip(0), knots.flip(0))


def _interpolate(at: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear through rising xs, end segments extended."""
    left = (torch.searchsorted(xs, at) - 1).clamp(0, len(xs) - 2)
    x0, x1, y0, y1 = xs[left], xs[left + 1], ys[left], ys[left + 1]
    return y0 + (at - x0) * (y1 - y0) / (x1 - x0)
