"""Classifier-free guidance: which texts a call uses, in what rows, and how answers are combined.

Ho and Salimans 2022 (arXiv:2207.12598), in A1111's form: prompt parts joined by AND with weights
(Liu et al. 2022, arXiv:2206.01714), and texts that change during the run (spec sampling.md 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from domain.sampling.options import SamplingOptions


@dataclass(frozen=True, eq=False)
class ScheduledContext:
    """A text's encoding, (tokens, width), used up to and including model call `end_at`."""

    end_at: int
    context: Tensor


Schedule = tuple[ScheduledContext, ...]
"""At least one entry, `end_at` rising."""


@dataclass(frozen=True, eq=False)
class WeightedSchedule:
    """One AND part of a prompt."""

    schedule: Schedule
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The texts of a batch: for each image the parts of its prompt, and its negative prompt.

    `empty` is the encoding of the empty prompt, (tokens, width), that option pad_cond_uncond fills
    up with; without it that option has no effect.
    """

    positive: tuple[tuple[WeightedSchedule, ...], ...]
    negative: tuple[Schedule, ...]
    empty: Tensor | None = None


def pick(schedule: Schedule, step: int) -> int:
    """Index of the entry that model call `step` (from 0) uses.

    The first whose end is not before `step`. Past the last end the first entry comes back: that
    is A1111's behaviour, seen where a sampler calls more often than expected.
    """
    for index, entry in enumerate(schedule):
        if step <= entry.end_at:
            return index
    return 0


Selection = tuple[tuple[int, ...], tuple[int, ...]]
"""Entry chosen for each positive part in order, and for each negative: what a call's texts are."""


def select(conditioning: Conditioning, step: int) -> Selection:
    """The entries for model call `step`; equal selections mean equal network inputs."""
    return (
        tuple(pick(part.schedule, step) for parts in conditioning.positive for part in parts),
        tuple(pick(schedule, step) for schedule in conditioning.negative),
    )


def contexts(
    conditioning: Conditioning, selection: Selection, options: SamplingOptions
) -> tuple[Tensor, Tensor]:
    """(parts, tokens, width) and (images, tokens, width), padded as the options say."""
    parts = [part for parts in conditioning.positive for part in parts]
    chosen = [part.schedule[index].context for part, index in zip(parts, selection[0], strict=True)]
    unwanted = [
        schedule[index].context
        for schedule, index in zip(conditioning.negative, selection[1], strict=True)
    ]
    return _equalise(_stack(chosen), _stack(unwanted), conditioning.empty, options)


def _stack(rows: Sequence[Tensor]) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.stack([_repeat_last(row, longest) for row in rows])


def _repeat_last(row: Tensor, tokens: int) -> Tensor:
    """`row` (..., tokens, width) lengthened by copies of its last token's vector."""
    missing = tokens - row.shape[-2]
    if not missing:
        return row
    return torch.cat([row, row[..., -1:, :].expand(*row.shape[:-2], missing, -1)], dim=-2)


def _equalise(
    cond: Tensor, uncond: Tensor, empty: Tensor | None, options: SamplingOptions
) -> tuple[Tensor, Tensor]:
    tokens, unwanted = cond.shape[1], uncond.shape[1]
    if tokens == unwanted:
        return cond, uncond
    if options.pad_cond_uncond_v0:
        return cond, _repeat_last(uncond[:, :tokens], tokens)
    if options.pad_cond_uncond and empty is not None:
        if tokens < unwanted:
            return _append_empty(cond, empty, unwanted), uncond
        return cond, _append_empty(uncond, empty, tokens)
    return cond, uncond


def _append_empty(rows: Tensor, empty: Tensor, tokens: int) -> Tensor:
    copies = (tokens - rows.shape[1]) // len(empty)
    return torch.cat([rows, empty.repeat(copies, 1).expand(len(rows), -1, -1)], dim=1)


def skips_unconditional(
    step: int, total: int, level: float, s_min_uncond: float, options: SamplingOptions
) -> bool:
    """Whether this call leaves the negative prompt out (spec sampling.md 5.1.5).

    Early, by option skip_early_cond, or below the level `s_min_uncond` on every other call (NGMS).
    """
    if options.skip_early_cond and step / total <= options.skip_early_cond:
        return True
    return bool(
        (step % 2 or options.s_min_uncond_all) and s_min_uncond > 0 and level < s_min_uncond
    )


def combine(
    cond: Tensor, uncond: Tensor, weights: Sequence[Sequence[float]], cfg_scale: float
) -> Tensor:
    """Guided prediction (images, C, H, W): away from `uncond`, towards each part by its weight.

    `cond` has one row per part, image by image; `weights` their weights. A scale of 1 is nothing
    special: with one part of weight 1 it gives that part.
    """
    guided = uncond.clone()
    row = 0
    for image, parts in enumerate(weights):
        for weight in parts:
            guided[image] += (cond[row] - uncond[image]) * (weight * cfg_scale)
            row += 1
    return guided
