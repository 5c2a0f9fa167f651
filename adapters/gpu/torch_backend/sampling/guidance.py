"""Classifier-free guidance: choosing and padding a call's texts, and combining its predictions.

Ho and Salimans 2022 (arXiv:2207.12598), in A1111's form: prompt parts joined by AND with weights
(Liu et al. 2022, arXiv:2206.01714), and texts that change during the run (spec sampling.md 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hexfusion.domain.sampling.options import SamplingOptions


@dataclass(frozen=True, eq=False)
class ScheduledContext:
    """A text's encoding, used up to and including model call `end_at`.

    `context` is (tokens, width); `vector` (width,) where the network takes one (SDXL).
    """

    end_at: int
    context: Tensor
    vector: Tensor | None = None


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
"""Indices of the schedule entries that a call uses: of each positive part, and each negative."""


def select(conditioning: Conditioning, step: int) -> Selection:
    """The entries for model call `step`; equal selections mean equal network inputs."""
    return (
        tuple(pick(part.schedule, step) for parts in conditioning.positive for part in parts),
        tuple(pick(schedule, step) for schedule in conditioning.negative),
    )


@dataclass(frozen=True, eq=False)
class TextRows:
    """Encoded texts for rows of a call: `context` (rows, tokens, width), `vector` (rows, width) or
    None."""

    context: Tensor
    vector: Tensor | None = None

    def __len__(self) -> int:
        return len(self.context)

    @property
    def tokens(self) -> int:
        """Length of each row's context."""
        return self.context.shape[1]

    def split(self, rows: int) -> "tuple[TextRows, ...]":
        """Consecutive pieces of `rows` rows, the last maybe shorter."""
        contexts = self.context.split(rows)
        if self.vector is None:
            return tuple(map(TextRows, contexts))
        return tuple(map(TextRows, contexts, self.vector.split(rows)))

    def followed_by(self, other: "TextRows") -> "TextRows":
        """These rows and then `other`'s, of the same length."""
        context = torch.cat([self.context, other.context])
        if self.vector is None or other.vector is None:
            return TextRows(context)
        return TextRows(context, torch.cat([self.vector, other.vector]))


def text_rows(conditioning: Conditioning, selection: Selection) -> tuple[TextRows, TextRows]:
    """One row for each positive part, and one for each image's negative prompt."""
    parts = [part for parts in conditioning.positive for part in parts]
    chosen = [part.schedule[index] for part, index in zip(parts, selection[0], strict=True)]
    unwanted = [
        schedule[index] for schedule, index in zip(conditioning.negative, selection[1], strict=True)
    ]
    return _stack(chosen), _stack(unwanted)


def _stack(entries: Sequence[ScheduledContext]) -> TextRows:
    longest = max(len(entry.context) for entry in entries)
    context = torch.stack([_repeat_last(entry.context, longest) for entry in entries])
    vectors = [entry.vector for entry in entries if entry.vector is not None]
    return TextRows(context, torch.stack(vectors) if vectors else None)


def _repeat_last(row: Tensor, tokens: int) -> Tensor:
    """`row` (..., tokens, width) lengthened by copies of its last token's vector."""
    missing = tokens - row.shape[-2]
    if not missing:
        return row
    return torch.cat([row, row[..., -1:, :].expand(*row.shape[:-2], missing, -1)], dim=-2)


def pad(
    cond: TextRows, uncond: TextRows, empty: Tensor | None, options: SamplingOptions
) -> tuple[TextRows, TextRows, str | None]:
    """Both, brought to equal length where an option says so, and its infotext label if it did.

    Only contexts are touched, never vectors (spec sampling.md 5.1.6 and 8).
    """
    if cond.tokens == uncond.tokens:
        return cond, uncond, None
    if options.pad_cond_uncond_v0:
        context = _repeat_last(uncond.context[:, : cond.tokens], cond.tokens)
        return cond, replace(uncond, context=context), "Pad conds v0"
    if options.pad_cond_uncond and empty is not None:
        if cond.tokens < uncond.tokens:
            context = _append_empty(cond.context, empty, uncond.tokens)
            return replace(cond, context=context), uncond, "Pad conds"
        context = _append_empty(uncond.context, empty, cond.tokens)
        return cond, replace(uncond, context=context), "Pad conds"
    return cond, uncond, None


def _append_empty(rows: Tensor, empty: Tensor, tokens: int) -> Tensor:
    copies = (tokens - rows.shape[1]) // len(empty)
    return torch.cat([rows, empty.repeat(copies, 1).expand(len(rows), -1, -1)], dim=1)


def why_skip_negative(step: int, total: int, level: float, options: SamplingOptions) -> str | None:
    """The infotext label of why this call leaves the negative prompt out; None if it does not.

    Early, by option skip_early_cond, or on every other call below the level of option s_min_uncond:
    NGMS, "negative guidance minimum sigma" (spec sampling.md 5.1.5).
    """
    if options.skip_early_cond and step / total <= options.skip_early_cond:
        return "Skip Early CFG"
    its_turn, least = step % 2 or options.s_min_uncond_all, options.s_min_uncond
    return "NGMS" if its_turn and least > 0 and level < least else None


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


def combine_edit(
    cond: Tensor, unasked: Tensor, unseen: Tensor, cfg_scale: float, image_cfg_scale: float
) -> Tensor:
    """InstructPix2Pix's guidance (Brooks et al. 2023, arXiv:2211.09800), all (images, C, H, W).

    Away from `unasked`, made without the text, and that away from `unseen`, made without the
    picture as well.
    """
    return unseen + cfg_scale * (cond - unasked) + image_cfg_scale * (unasked - unseen)
