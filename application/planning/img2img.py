"""Planning an img2img request. Source: spec api.md 6, sampling.md 6.2 to 6.6."""

from collections.abc import Callable, Sequence
from functools import cache

import msgspec

from hexfusion.application.planning.amounts import (
    check_pictures,
    check_prompts,
    result_size,
    steps_of,
)
from hexfusion.application.planning.job import (
    JobPlan,
    ModelChoice,
    plan_batches,
    plan_faces,
    plan_first_pass,
    plan_seeds,
)
from hexfusion.application.planning.limits import check_img2img, check_lists
from hexfusion.application.planning.texts import Prompts, job_prompts, plan_text
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_boxes import Size
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.plan import InitPlan, Inversion, MaskedContent, Plan
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.samplers import BY_NAME

CONTENT: dict[int, MaskedContent] = {2: "noise", 3: "nothing"}
"""Values of inpainting_fill that fill the masked latent; others fill the picture, or nothing."""


def plan_img2img(
    request: Img2Img,
    options: Options,
    models: ModelChoice,
    styles: Sequence[Style],
    draw_seed: Callable[[], int],
    pictures: Sequence[Size],
    *,
    masked: bool = False,
    lists: PictureLists = NO_LISTS,
    after: int | None = None,
    inversion: Inversion | None = None,
    limits: JobLimits = DEFAULT_LIMITS,
) -> JobPlan:
    """Plan a request with source pictures of these sizes (width, height), `masked` or not.

    The request must have its noise multiplier. Two or more pictures make up a batch, instead of
    the request's batch size; seeds are still drawn for the requested size. `after` is the last seed
    of the previous generation in the same script, `inversion` has its settings for finding the
    first noise. Raises as `plan_txt2img`.
    """
    check_img2img(request, masked=masked)
    check_lists(request, lists)
    size = batch_size(request, len(pictures))
    steps = steps_of(request) + (inversion.steps if inversion else 0)
    amount = check_pictures(
        request,
        limits,
        at_once=size,
        size=result_size(request, pictures, masked=masked),
        steps=steps,
    )
    seeds, subseeds = plan_seeds(request, lists, draw_seed)
    prompts = job_prompts(request, lists, options, styles, limits)
    amount = check_prompts(amount, [prompts], steps, limits)
    init = plan_init(request, options, seeds[:size], after=after)

    @cache
    def make(main: Prompts) -> Plan:
        plan = plan_first_pass(request, options, models, main, init=init)
        return _inverting(plan, inversion, options, len(main.positive))

    return JobPlan(
        batches=plan_batches(request, seeds, subseeds, lambda those: make(prompts[those]), size),
        width=request.width,
        height=request.height,
        resize=(0, 0),
        prompts=prompts,
        hires_prompts=prompts,
        seeds=tuple(seeds),
        subseeds=tuple(subseeds),
        faces=plan_faces(request, options),
        amount=amount,
    )


def _inverting(plan: Plan, how: Inversion | None, options: Options, count: int) -> Plan:
    """The plan with inversion added. Raises `InvalidRequest` for a malformed weight."""
    if how is None or plan.init is None:
        return plan
    texts = Prompts((how.prompt,) * count, (how.negative_prompt,) * count)
    sampling = msgspec.structs.replace(plan.sampling, sampler=BY_NAME["Euler"], steps=how.steps)
    how = msgspec.structs.replace(
        how, text=plan_text(texts, options, sampling, None, ("script_args", "script_args"))
    )
    return msgspec.structs.replace(plan, init=msgspec.structs.replace(plan.init, inversion=how))


def batch_size(request: Img2Img, pictures: int) -> int:
    """Pictures per batch. Raises `InvalidRequest` for no picture, or more than the batch size."""
    if pictures == 0:
        raise InvalidRequest("init_images", "must hold a picture")
    if pictures > request.batch_size:
        message = f"bad number of images passed: {pictures}; expecting {request.batch_size} or less"
        raise InvalidRequest("init_images", message)
    return request.batch_size if pictures == 1 else pictures


def plan_init(
    request: Img2Img,
    options: Options,
    seeds: Sequence[int],
    *,
    after: int | None = None,
) -> InitPlan:
    """The `InitPlan` of every batch; `seeds` are those of the job's first batch."""
    multiplier = request.initial_noise_multiplier
    return InitPlan(
        denoising_strength=request.denoising_strength,
        seed=seeds[0] if after is None else after,
        explicit_steps=options.flag("img2img_fix_steps"),
        noise_multiplier=1.0 if multiplier is None else multiplier,
        content=CONTENT.get(request.inpainting_fill, "picture"),
        content_seeds=tuple(seeds),
        round_mask=request.mask_round,
        image_cfg_scale=request.image_cfg_scale,
    )
