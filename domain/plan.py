"""A plan: everything about one batch decided, nothing computed.

It is all an inference backend gets. It holds no reference to the options store or the request,
so what another client changes meanwhile cannot reach it.
"""

import msgspec

from domain.checkpoints import Checkpoint
from domain.prompts.parts import Part
from domain.sampling.options import SamplingOptions
from domain.sampling.parameters import SamplerParameters
from domain.sampling.samplers import Sampler


class NoisePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where each picture's noise comes from (spec sampling.md 1).

    `seeds` and `subseeds` have one entry per picture of the batch. `resize_from` is
    (height, width) in pixels, or None.
    """

    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    subseed_strength: float = 0.0
    resize_from: tuple[int, int] | None = None


class TextPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How prompts become conditioning (spec prompts.md 5).

    `positive` and `negative` have one entry per picture: the parts of its prompt, each with its
    weight and its texts by network call. A negative prompt has always one part. `clip_skip`
    counts from 1, the last layer. `emphasis` is one of the four modes' names. `comma_backtrack`
    is in tokens.
    """

    positive: tuple[tuple[Part, ...], ...]
    negative: tuple[tuple[Part, ...], ...]
    clip_skip: int = 1
    emphasis: str = "Original"
    comma_backtrack: int = 20


class SamplingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sampler, schedule, and the numbers they take (spec sampling.md 3 and 4).

    `scheduler` is a label of the catalogue. `options` is the job's frozen view of the options
    that noise, schedule and guidance read; the parameters are settled against it already.
    """

    sampler: Sampler
    scheduler: str
    steps: int
    parameters: SamplerParameters = SamplerParameters()
    options: SamplingOptions = SamplingOptions()


class PreviewPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a half-finished latent is shown: "Full" decodes it, every other method approximates.

    `grid` shows the whole batch, else its first picture.
    """

    method: str = "Approx cheap"
    grid: bool = True


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of txt2img. `width` and `height` are pixels, multiples of 8."""

    checkpoint: Checkpoint
    width: int
    height: int
    cfg_scale: float
    noise: NoisePlan
    text: TextPlan
    sampling: SamplingPlan
    preview: PreviewPlan = PreviewPlan()

    @property
    def batch_size(self) -> int:
        """Pictures this plan makes."""
        return len(self.noise.seeds)
