"""Planning a pass's sampler, scheduler and their parameters. Source: spec sampling.md 3 and 4."""

import msgspec

from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import SAME_SAMPLER, SAME_SCHEDULER
from hexfusion.domain.options import Options
from hexfusion.domain.plan import SamplingPlan
from hexfusion.domain.sampling.names import resolve_names, resolve_request
from hexfusion.domain.sampling.options import SamplingOptions
from hexfusion.domain.sampling.parameters import resolve_parameters
from hexfusion.domain.sampling.samplers import Sampler
from hexfusion.domain.sampling.schedulers import AUTOMATIC


def plan_sampling(request: AnyRequest, options: Options) -> SamplingPlan:
    """The first pass's sampling, by the request's parameters and the options.

    Raises `NotFound` for an unknown sampler.
    """
    sampler, scheduler = resolve_request(
        request.sampler_name, request.sampler_index, request.scheduler
    )
    return _settled(request, options, sampler, scheduler, request.steps)


def plan_hires_sampling(request: Txt2Img, options: Options, first: SamplingPlan) -> SamplingPlan:
    """The second pass's sampling: its own sampler, scheduler and steps, or the first pass's.

    A scheduler at the end of the hires sampler's name is used if no hires scheduler is given.
    Raises as `plan_sampling`.
    """
    sampler, scheduler = first.sampler, first.scheduler
    name = request.hr_sampler_name
    if name and name != SAME_SAMPLER:
        sampler, trailing = resolve_names(name, convert_automatic=True)
        scheduler = trailing if trailing != AUTOMATIC.label else scheduler
    if request.hr_scheduler and request.hr_scheduler != SAME_SCHEDULER:
        _, scheduler = resolve_names(sampler.name, request.hr_scheduler)
    steps = request.hr_second_pass_steps or request.steps
    return _settled(request, options, sampler, scheduler, steps)


def _settled(
    request: AnyRequest, options: Options, sampler: Sampler, scheduler: str, steps: int
) -> SamplingPlan:
    sampling = msgspec.convert(options, SamplingOptions)
    if request.s_min_uncond is not None:
        sampling = msgspec.structs.replace(sampling, s_min_uncond=request.s_min_uncond)
    return SamplingPlan(
        sampler=sampler,
        scheduler=scheduler,
        steps=steps,
        cfg_scale=request.cfg_scale,
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
