"""Request + options + checkpoint -> plans: everything decided, nothing computed.

Source: spec sampling.md 1.4 (seeds), 3 and 4 (schedule and sampler settings), prompts.md 0 (what
happens to a prompt, in which order), api.md 5.
"""

from collections.abc import Callable, Sequence

import msgspec

from application.limits import check, check_options
from domain.checkpoints import Checkpoint
from domain.errors import InvalidRequest
from domain.generation import MAX_SEED, Txt2Img
from domain.options import Options
from domain.plan import (
    NoisePlan,
    Plan,
    PreviewPlan,
    SamplingPlan,
    TextPlan,
)
from domain.prompts import (
    Style,
    apply_styles,
    extract_networks,
    negative_parts,
    positive_parts,
    strip_comments,
)
from domain.sampling.names import resolve_request
from domain.sampling.options import SamplingOptions
from domain.sampling.parameters import resolve_parameters
from domain.sampling.steps import expected_calls
from domain.seeds import image_seeds, image_subseeds, resolve_seed


class Txt2ImgPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole job: one plan per batch, and what holds for all of them.

    `seeds` and `subseeds` have one entry per picture of the job. `prompt` and `negative_prompt`
    are what the infotext shows: styles in, comments out, network tags still there.
    """

    batches: tuple[Plan, ...]
    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    sampling: SamplingPlan
    checkpoint: Checkpoint

    def using(self, checkpoint: Checkpoint) -> "Txt2ImgPlan":
        """The same plan with the checkpoint's hash known."""
        batches = tuple(
            msgspec.structs.replace(batch, checkpoint=checkpoint) for batch in self.batches
        )
        return msgspec.structs.replace(self, batches=batches, checkpoint=checkpoint)


def plan_txt2img(
    request: Txt2Img,
    options: Options,
    checkpoint: Checkpoint,
    styles: Sequence[Style],
    draw_seed: Callable[[], int],
) -> Txt2ImgPlan:
    """Decide everything about a request.

    Raises `InvalidRequest` naming the field that is out of range, `NotFound` for an unknown
    sampler, `Unsupported` for what this server cannot do yet.
    """
    check(request)
    check_options(request, options)
    seeds, subseeds = plan_seeds(request, draw_seed)
    prompt, negative_prompt = plan_prompts(request, options, styles)
    sampling = plan_sampling(request, options)
    text = plan_text(prompt, negative_prompt, request.batch_size, options, sampling)
    preview = PreviewPlan(
        method=options.text("show_progress_type"), grid=options.flag("show_progress_grid")
    )
    size = request.batch_size
    batches = tuple(
        Plan(
            checkpoint=checkpoint,
            width=request.width // 8 * 8,
            height=request.height // 8 * 8,
            cfg_scale=request.cfg_scale,
            noise=plan_noise(request, seeds[i : i + size], subseeds[i : i + size]),
            text=text,
            sampling=sampling,
            preview=preview,
        )
        for i in range(0, len(seeds), size)
    )
    return Txt2ImgPlan(
        batches=batches,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seeds=tuple(seeds),
        subseeds=tuple(subseeds),
        sampling=sampling,
        checkpoint=checkpoint,
    )


def plan_seeds(
    request: Txt2Img, draw_seed: Callable[[], int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Seeds and subseeds of every picture of the job."""
    count = request.batch_size * request.n_iter
    seeds = image_seeds(resolve_seed(request.seed, draw_seed), count, request.subseed_strength)
    subseeds = image_subseeds(resolve_seed(request.subseed, draw_seed), count)
    for field, last in (("seed", seeds[-1]), ("subseed", subseeds[-1])):
        if last > MAX_SEED:
            raise InvalidRequest(field, "the last picture's seed does not fit in 64 bits")
    return seeds, subseeds


def plan_prompts(request: Txt2Img, options: Options, styles: Sequence[Style]) -> tuple[str, str]:
    """Prompt and negative prompt with styles applied and comments removed.

    An unknown style acts as an empty one (spec prompts.md 4.3).
    """
    prompt, negative = apply_styles(
        request.prompt, request.negative_prompt, request.styles or (), styles
    )
    if options.flag("enable_prompt_comments"):
        return strip_comments(prompt), strip_comments(negative)
    return prompt, negative


def plan_noise(request: Txt2Img, seeds: Sequence[int], subseeds: Sequence[int]) -> NoisePlan:
    """The noise of one batch."""
    resize = (request.seed_resize_from_h, request.seed_resize_from_w)
    return NoisePlan(
        seeds=tuple(seeds),
        subseeds=tuple(subseeds),
        subseed_strength=float(request.subseed_strength),
        resize_from=resize if min(resize) > 0 else None,
    )


def plan_sampling(request: Txt2Img, options: Options) -> SamplingPlan:
    """Sampler and schedule, with the request's parameters settled against the options."""
    sampler, scheduler = resolve_request(
        request.sampler_name, request.sampler_index, request.scheduler
    )
    sampling = msgspec.convert(options, SamplingOptions)
    if request.s_min_uncond is not None:
        sampling = msgspec.structs.replace(sampling, s_min_uncond=request.s_min_uncond)
    return SamplingPlan(
        sampler=sampler,
        scheduler=scheduler,
        steps=request.steps,
        parameters=resolve_parameters(
            sampler,
            sampling,
            eta=request.eta,
            s_churn=request.s_churn,
            s_tmin=request.s_tmin,
            s_tmax=request.s_tmax,
            s_noise=request.s_noise,
        ),
        options=sampling,
    )


def plan_text(
    prompt: str, negative_prompt: str, batch_size: int, options: Options, sampling: SamplingPlan
) -> TextPlan:
    """Prompts parsed into schedules. Network tags leave the positive prompt only."""
    calls = expected_calls(sampling.sampler, sampling.steps)
    old = options.flag("use_old_scheduling")
    emphasis = options.text("emphasis")
    plain, _networks = extract_networks(prompt)
    positive = positive_parts(plain, calls, old_scheduling=old, emphasis=emphasis)
    negative = negative_parts(negative_prompt, calls, old_scheduling=old, emphasis=emphasis)
    return TextPlan(
        positive=(positive,) * batch_size,
        negative=(negative,) * batch_size,
        clip_skip=options.integer("CLIP_stop_at_last_layers"),
        emphasis=emphasis,
        comma_backtrack=options.integer("comma_padding_backtrack"),
    )
