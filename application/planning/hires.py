"""Planning the second pass of hires fix. Source: spec sampling.md 6.4, api.md 5.4."""

import msgspec

from hexfusion.application.planning.sampling import plan_hires_sampling
from hexfusion.application.planning.texts import Prompts, plan_text
from hexfusion.application.planning.tweaks import plan_tweaks
from hexfusion.domain import generation
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.geometry import CELL, HiresSize, hires_size
from hexfusion.domain.options import Options
from hexfusion.domain.plan import HiresPlan, SamplingPlan
from hexfusion.domain.upscalers import LATENT_MODES, upscale_settings

OLD_SIZES = "use_old_hires_fix_width_height"


def sized(request: Txt2Img, options: Options) -> Txt2Img:
    """The request with the first pass's width and height, and the target size if it is fixed.

    `firstphase_*` replace the size. With option use_old_hires_fix_width_height the request's size
    is the target's.
    """
    if request.firstphase_width or request.firstphase_height:
        request = msgspec.structs.replace(
            request, width=request.firstphase_width, height=request.firstphase_height
        )
    if request.enable_hr and options.flag(OLD_SIZES):
        width, height = hires_size(request.width, request.height, 1, old=True).first
        return msgspec.structs.replace(
            request,
            width=width,
            height=height,
            hr_resize_x=request.width,
            hr_resize_y=request.height,
        )
    return request


def hires_target(request: Txt2Img) -> HiresSize:
    """The sizes of a `sized` request. Raises `InvalidRequest` if too small or too large."""
    size = hires_size(
        request.width,
        request.height,
        request.hr_scale,
        request.hr_resize_x,
        request.hr_resize_y,
    )
    field = "hr_resize_x" if request.hr_resize_x or request.hr_resize_y else "hr_scale"
    for side, cut in zip(size.target, size.crop, strict=True):
        if not (side // CELL > cut and CELL <= side <= generation.MAX_SIDE):
            target = f"{size.target[0]}x{size.target[1]}"
            message = f"makes {target}; sides may have {CELL} to {generation.MAX_SIDE} pixels"
            raise InvalidRequest(field, message)
    return size


def plan_hires(
    request: Txt2Img,
    options: Options,
    *,
    checkpoint: Checkpoint,
    first: SamplingPlan,
    prompts: Prompts,
) -> HiresPlan:
    """Plan the second pass of one batch of a `sized` request, with these prompts.

    Raises `InvalidRequest` naming the field that is wrong, `NotFound` for an unknown sampler. The
    upscaler's name is not checked here.
    """
    size = hires_target(request)
    sampling = plan_hires_sampling(request, options, first)
    fields = (
        "hr_prompt" if request.hr_prompt else "prompt",
        "hr_negative_prompt" if request.hr_negative_prompt else "negative_prompt",
    )
    return HiresPlan(
        checkpoint=checkpoint,
        width=size.target[0],
        height=size.target[1],
        crop=size.crop,
        upscaler=request.hr_upscaler or LATENT_MODES[0],
        upscaling=upscale_settings(options),
        denoising_strength=request.denoising_strength or 0.0,
        text=plan_text(prompts, options, sampling, first, fields),
        sampling=sampling,
        tweaks=plan_tweaks(request, options, second_pass=True),
        first_pass_encoder=options.flag("hires_fix_use_firstpass_conds"),
        keep_first_pass=request.save_images and options.flag("save_images_before_highres_fix"),
    )
