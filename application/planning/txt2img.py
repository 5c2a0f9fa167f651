"""Planning a txt2img request. Source: spec api.md 5, sampling.md 6.1 and 6.4."""

from collections.abc import Callable, Sequence
from functools import cache

import msgspec

from hexfusion.application.planning.amounts import check_pictures, check_prompts, steps_of
from hexfusion.application.planning.hires import hires_target, plan_hires, sized
from hexfusion.application.planning.job import (
    JobPlan,
    ModelChoice,
    plan_batches,
    plan_faces,
    plan_first_pass,
    plan_refiner,
    plan_seeds,
)
from hexfusion.application.planning.limits import check_lists, check_txt2img
from hexfusion.application.planning.texts import Prompts, hires_prompts, job_prompts
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options
from hexfusion.domain.picture_lists import NO_LISTS, PictureLists
from hexfusion.domain.plan import Plan
from hexfusion.domain.prompts import Style


def plan_txt2img(
    request: Txt2Img,
    options: Options,
    models: ModelChoice,
    styles: Sequence[Style],
    draw_seed: Callable[[], int],
    lists: PictureLists = NO_LISTS,
    limits: JobLimits = DEFAULT_LIMITS,
) -> JobPlan:
    """Plan a request.

    Raises `InvalidRequest` naming the field that is out of range or makes the job larger than
    `limits`, `NotFound` for an unknown sampler, `Unsupported` for what this server cannot do yet.
    """
    check_txt2img(request)
    check_lists(request, lists)
    request = sized(request, options)
    target = request.width, request.height
    if request.enable_hr:
        target = hires_target(request).target
    steps = steps_of(request)
    amount = check_pictures(
        request,
        limits,
        at_once=request.batch_size,
        size=target,
        steps=steps,
        field="hr_scale" if request.enable_hr else "width",
    )
    seeds, subseeds = plan_seeds(request, lists, draw_seed)
    prompts = job_prompts(request, lists, options, styles, limits)
    second = hires_prompts(request, options, styles, prompts, limits)
    passes = [prompts, second] if request.enable_hr else [prompts]
    amount = check_prompts(amount, passes, steps, limits)
    size = request.batch_size

    @cache
    def make(main: Prompts, hires: Prompts) -> Plan:
        return plan_batch(request, options, models, main, hires)

    return JobPlan(
        batches=plan_batches(
            request, seeds, subseeds, lambda those: make(prompts[those], second[those]), size
        ),
        width=request.width,
        height=request.height,
        resize=(request.hr_resize_x, request.hr_resize_y),
        prompts=prompts,
        hires_prompts=second,
        seeds=tuple(seeds),
        subseeds=tuple(subseeds),
        faces=plan_faces(request, options),
        amount=amount,
    )


def plan_batch(
    request: Txt2Img,
    options: Options,
    models: ModelChoice,
    prompts: Prompts,
    second_prompts: Prompts,
) -> Plan:
    """Plan one batch of a `sized` request, without noise."""
    plan = plan_first_pass(request, options, models, prompts)
    if not request.enable_hr:
        return plan
    checkpoint = models.hires or models.checkpoint
    hires = plan_hires(
        request,
        options,
        checkpoint=checkpoint,
        first=plan.sampling,
        prompts=second_prompts,
    )
    where = options.text("hires_fix_refiner_pass")
    first, second = (
        refiner and msgspec.structs.replace(refiner, hires_pass=where)
        for refiner in (plan.refiner, plan_refiner(request, options, models, checkpoint))
    )
    return msgspec.structs.replace(
        plan,
        refiner=None if where == "second pass" else first,
        hires=msgspec.structs.replace(hires, refiner=None if where == "first pass" else second),
    )
