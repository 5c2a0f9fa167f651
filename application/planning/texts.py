"""The prompts of a job, and their schedules in each pass (spec prompts.md 0, sampling.md 5.2)."""

from collections.abc import Sequence
from functools import cache

import msgspec

from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits, text_bytes
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import PictureLists
from hexfusion.domain.plan import SamplingPlan, TextPlan
from hexfusion.domain.prompts import (
    Style,
    apply_styles,
    extract_networks,
    negative_parts,
    positive_parts,
    strip_comments,
    timelines_differ,
)
from hexfusion.domain.sampling.steps import expected_calls


class Prompts(msgspec.Struct, frozen=True):
    """The prompts of all pictures: styles applied, comments removed, network tags still in."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]

    def __getitem__(self, these: slice) -> "Prompts":
        """The prompts of a slice of the pictures, such as a batch."""
        return Prompts(self.positive[these], self.negative[these])


def job_prompts(
    request: AnyRequest,
    lists: PictureLists,
    options: Options,
    styles: Sequence[Style],
    limits: JobLimits = DEFAULT_LIMITS,
) -> Prompts:
    """The prompts of the first pass. Raises `InvalidRequest` for one that is too long."""
    count = request.batch_size * request.n_iter
    return _styled(
        lists.prompts or (request.prompt,) * count,
        lists.negative_prompts or (request.negative_prompt,) * count,
        request,
        options,
        styles,
        limits,
    )


def hires_prompts(
    request: Txt2Img,
    options: Options,
    styles: Sequence[Style],
    main: Prompts,
    limits: JobLimits = DEFAULT_LIMITS,
) -> Prompts:
    """The prompts of the second pass; an empty hires prompt means the main one. Raises likewise."""
    count = len(main.positive)
    own = _styled(
        (request.hr_prompt,) * count,
        (request.hr_negative_prompt,) * count,
        request,
        options,
        styles,
        limits,
        ("hr_prompt", "hr_negative_prompt"),
    )
    return Prompts(
        own.positive if request.hr_prompt else main.positive,
        own.negative if request.hr_negative_prompt else main.negative,
    )


def _styled(
    positive: Sequence[str],
    negative: Sequence[str],
    request: AnyRequest,
    options: Options,
    styles: Sequence[Style],
    limits: JobLimits,
    fields: tuple[str, str] = ("prompt", "negative_prompt"),
) -> Prompts:
    """Apply styles and remove comments. Unknown styles are as empty ones (spec prompts.md 4.3).

    Equal prompts are worked on, and held, once: a job of a thousand pictures has one prompt.
    """
    comments = options.flag("enable_prompt_comments")
    names = request.styles or ()

    @cache
    def styled(prompt: str, against: str) -> tuple[str, str]:
        both = apply_styles(prompt, against, names, styles, most=limits.prompt)
        for field, text in zip(fields, both, strict=True):
            limits.check_prompt(field, text_bytes(text))
        return (strip_comments(both[0]), strip_comments(both[1])) if comments else both

    pairs = [styled(*pair) for pair in zip(positive, negative, strict=True)]
    return Prompts(tuple(each for each, _ in pairs), tuple(each for _, each in pairs))


def plan_text(
    prompts: Prompts,
    options: Options,
    sampling: SamplingPlan,
    first_pass: SamplingPlan | None = None,
    fields: tuple[str, str] = ("prompt", "negative_prompt"),
) -> TextPlan:
    """Parse one pass's prompts into schedules. Network tags are removed from positive prompts only.

    For a second pass `first_pass` is the first's sampling, whose steps precede its own. Raises
    `InvalidRequest`, naming one of `fields`, for a malformed weight.
    """
    positive_field, negative_field = fields
    steps, hires_steps = _calls(sampling, first_pass)
    old, emphasis = options.flag("use_old_scheduling"), options.text("emphasis")
    old_emphasis = options.flag("use_old_emphasis_implementation")
    spoken = "None" if old_emphasis else emphasis  # with the old emphasis, no weight is malformed
    positive = {
        prompt: positive_parts(
            extract_networks(prompt)[0],
            steps,
            hires_steps,
            old_scheduling=old,
            emphasis=spoken,
            field=positive_field,
        )
        for prompt in set(prompts.positive)
    }
    negative = {
        prompt: negative_parts(
            prompt,
            steps,
            hires_steps,
            old_scheduling=old,
            emphasis=spoken,
            field=negative_field,
        )
        for prompt in set(prompts.negative)
    }
    return TextPlan(
        positive=tuple(positive[prompt] for prompt in prompts.positive),
        negative=tuple(negative[prompt] for prompt in prompts.negative),
        clip_skip=options.integer("CLIP_stop_at_last_layers"),
        emphasis=emphasis,
        comma_backtrack=options.integer("comma_padding_backtrack"),
        old_emphasis=old_emphasis,
        keep=options.flag("persistent_cond_cache"),
        crop=(options.integer("sdxl_crop_top"), options.integer("sdxl_crop_left")),
        aesthetic_scores=(
            options.number("sdxl_refiner_high_aesthetic_score"),
            options.number("sdxl_refiner_low_aesthetic_score"),
        ),
        clip_l_skip=options.flag("sdxl_clip_l_skip"),
    )


def old_timeline_matters(
    prompts: Prompts, sampling: SamplingPlan, first_pass: SamplingPlan | None = None
) -> bool:
    """Whether option use_old_scheduling changes the schedules of these prompts."""
    steps = _calls(sampling, first_pass)
    texts = {*prompts.positive, *prompts.negative}
    return any(timelines_differ(extract_networks(text)[0], *steps) for text in texts)


def _calls(sampling: SamplingPlan, first_pass: SamplingPlan | None) -> tuple[int, int | None]:
    """(model calls of the first pass, of the second pass or None) that schedules are based on."""
    calls = expected_calls(sampling.sampler, sampling.steps)
    if first_pass is None:
        return calls, None
    return expected_calls(first_pass.sampler, first_pass.steps), calls
