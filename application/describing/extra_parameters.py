"""The extra generation parameters, which infotext lists after the fixed keys.

Source: spec prompts.md 8.2 (insertion order).
"""

from collections.abc import Mapping, Sequence

from hexfusion.application.inpainting.request_mask import Inpainting, blur_radii
from hexfusion.application.planning import JobPlan
from hexfusion.application.planning.texts import old_timeline_matters
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.infotext import SAME_CHECKPOINT, Extra, PerImage
from hexfusion.domain.options import Options
from hexfusion.domain.plan import HiresPlan, Pass, Plan, SamplingPlan
from hexfusion.domain.sampling.names import effective_scheduler
from hexfusion.domain.sampling.schedulers import AUTOMATIC, find_scheduler
from hexfusion.domain.upscalers import LATENT_MODES

#: Infotext's names for `inpainting_fill`; other values are not written.
MASKED_CONTENT = {0: "fill", 2: "latent noise", 3: "latent nothing"}


def extra_parameters(plan: JobPlan, options: Options, own: Mapping[str, Extra]) -> dict[str, Extra]:
    """The extra parameters that differ from their defaults and affect a pass, in A1111's order.

    `own` are those of the job's scripts and kind, which come first.
    """
    extra = dict(own)
    passes = plan.first.passes
    chosen = plan.sampling.options
    if (shown := _schedule_shown(plan.sampling)) and plan.sampling.scheduler != AUTOMATIC.label:
        extra["Schedule type"] = shown
    extra["Lora hashes"] = None
    if options.flag("use_old_scheduling") and _old_timeline_matters(plan):
        extra["Old prompt editing timelines"] = True
    extra["TI hashes"] = None
    text = plan.first.text
    if text.emphasis != "Original" and any(map(_emphasised, passes)):
        extra["Emphasis"] = text.emphasis
    if chosen.use_downcasted_alpha_bar:
        extra["Downcast alphas_cumprod"] = True
    if chosen.sd_noise_schedule != "Default":
        extra["Noise Schedule"] = chosen.sd_noise_schedule
    if plan.first.init and plan.first.init.noise_multiplier != 1:
        extra["Noise multiplier"] = plan.first.init.noise_multiplier
    for each in passes:
        hires = isinstance(each, HiresPlan)
        extra |= _sampling_extra(each.sampling, from_noise=not _from_latent(each), hires=hires)
    return extra


#: Labels whose place in the order is reserved until the backend's facts are known.
_PLACES = ("Lora hashes", "TI hashes")


def with_facts(extra: Mapping[str, Extra], facts: Mapping[str, Extra]) -> dict[str, Extra]:
    """The extra parameters and the facts that the backend reported, in A1111's order."""
    both = {**extra, **facts}
    return {key: each for key, each in both.items() if each is not None or key not in _PLACES}


def _from_latent(each: Pass) -> bool:
    return isinstance(each, HiresPlan) or (isinstance(each, Plan) and each.init is not None)


def _schedule_shown(sampling: SamplingPlan) -> str | None:
    """The label of the schedule used; None for the model's own spacing, and for samplers that step
    through timesteps."""
    label = effective_scheduler(sampling.sampler, sampling.scheduler)
    by_sigma = sampling.sampler.space == "sigma"
    return label if by_sigma and label != AUTOMATIC.label else None


def _old_timeline_matters(plan: JobPlan) -> bool:
    hires = plan.first.hires
    return old_timeline_matters(plan.prompts, plan.sampling) or bool(
        hires and old_timeline_matters(plan.hires_prompts, hires.sampling, plan.sampling)
    )


def _emphasised(each: Pass) -> bool:
    """Whether any text has brackets, of whatever meaning, as A1111 tests it (spec prompts.md
    5.5)."""
    prompts = (*each.text.positive, *each.text.negative)
    texts = (step.text for prompt in prompts for part in prompt for step in part.schedule)
    return any("(" in text or "[" in text for text in texts)


def _sampling_extra(sampling: SamplingPlan, *, from_noise: bool, hires: bool) -> dict[str, Extra]:
    extra: dict[str, Extra] = {}
    sampler, chosen = sampling.sampler, sampling.options
    if chosen.always_discard_next_to_last_sigma and not sampler.discard_penultimate:
        extra["Discard penultimate sigma"] = True
    if label := _schedule_shown(sampling):
        if not hires:  # a sampler's own choice is told here; "Hires schedule type" stands elsewhere
            extra["Schedule type"] = label
        extra |= _schedule_extra(sampling, label)
    if from_noise and sampler.space == "sigma" and chosen.sgm_noise_multiplier:
        extra["SGM noise multiplier"] = True
    if not from_noise and chosen.img2img_extra_noise > 0:
        extra["Extra noise"] = chosen.img2img_extra_noise
    return extra | _parameter_extra(sampling)


def _schedule_extra(sampling: SamplingPlan, label: str) -> dict[str, Extra]:
    extra: dict[str, Extra] = {}
    chosen, scheduler = sampling.options, find_scheduler(label)
    if chosen.sigma_min:
        extra["Schedule min sigma"] = chosen.sigma_min
    if chosen.sigma_max:
        extra["Schedule max sigma"] = chosen.sigma_max
    if scheduler.default_rho > 0 and chosen.rho not in (0, scheduler.default_rho):
        extra["Schedule rho"] = chosen.rho
    if scheduler.name == "beta":
        extra["Beta schedule alpha"] = chosen.beta_dist_alpha
        extra["Beta schedule beta"] = chosen.beta_dist_beta
    return extra


def _parameter_extra(sampling: SamplingPlan) -> dict[str, Extra]:
    """eta if it is not its default; churn only if an option sets it."""
    extra: dict[str, Extra] = {}
    sampler, chosen, parameters = sampling.sampler, sampling.options, sampling.parameters
    if sampler.takes_eta:
        label, neutral = ("Eta", 1.0) if sampler.space == "sigma" else ("Eta DDIM", 0.0)
        if parameters.eta != neutral:
            extra[label] = parameters.eta
    if sampler.takes_churn:
        churn = {"churn": chosen.s_churn, "tmin": chosen.s_tmin, "tmax": chosen.s_tmax}
        extra |= {f"Sigma {name}": value for name, value in churn.items() if value}
    if sampler.takes_s_noise and chosen.s_noise != 1.0:
        extra["Sigma noise"] = chosen.s_noise
    return extra


def img2img_extra(
    request: Img2Img, inpainting: Inpainting | None, *, masked: bool
) -> dict[str, Extra]:
    """The parameters of img2img.

    `masked` tells whether the request has a mask; `inpainting` may be None even so, if the mask is
    all black and the whole picture is repainted.
    """
    extra: dict[str, Extra] = {"Denoising strength": float(request.denoising_strength)}
    if not masked:
        return extra
    if request.inpainting_mask_invert:
        extra["Mask mode"] = "Inpaint not masked"
    across, down = blur_radii(request)
    if across > 0 or down > 0:
        extra["Mask blur"] = across if across == down else None
    if inpainting is None:
        return extra
    if inpainting.box is not None:
        extra["Inpaint area"] = "Only masked"
        extra["Masked area padding"] = request.inpaint_full_res_padding
    if request.inpainting_fill in MASKED_CONTENT:
        extra["Masked content"] = MASKED_CONTENT[request.inpainting_fill]
    return extra


def encoder_extra(plan: JobPlan) -> dict[str, Extra]:
    """The encoder of the init pictures, if it was not the VAE."""
    method = plan.first.encode_method
    return {} if method == "Full" else {"VAE Encoder": method}


def vae_facts(plan: Plan) -> dict[str, Extra]:
    """The decoder, and the encoder between the passes of hires fix, if they were not the VAE.

    Listed after all facts of a batch.
    """
    facts: dict[str, Extra] = {}
    if plan.hires and plan.hires.upscaler not in LATENT_MODES and plan.encode_method != "Full":
        facts["VAE Encoder"] = plan.encode_method
    if plan.decode_method != "Full":
        facts["VAE Decoder"] = plan.decode_method
    return facts


def hires_extra(request: Txt2Img, plan: JobPlan) -> dict[str, Extra]:
    """The parameters of hires fix."""
    hires = plan.first.hires
    if hires is None:
        return {}
    first = plan.sampling
    extra: dict[str, Extra] = {"Denoising strength": hires.denoising_strength}
    if request.hr_checkpoint_name not in (None, "", SAME_CHECKPOINT):
        extra["Hires checkpoint"] = hires.checkpoint.short_title
    if hires.sampling.sampler != first.sampler:
        extra["Hires sampler"] = hires.sampling.sampler.name
    main, second = plan.prompts, plan.hires_prompts
    extra["Hires prompt"] = _where_other(second.positive, main.positive)
    extra["Hires negative prompt"] = _where_other(second.negative, main.negative)
    label, shown = _schedule_shown(hires.sampling), _schedule_shown(first) or first.scheduler
    extra["Hires schedule type"] = label if label != shown else None
    if any(plan.resize):
        extra["Hires resize"] = "{}x{}".format(*plan.resize)
    else:
        extra["Hires upscale"] = request.hr_scale
    if request.hr_second_pass_steps:
        extra["Hires steps"] = request.hr_second_pass_steps
    if request.hr_upscaler is not None:
        extra["Hires upscaler"] = request.hr_upscaler
    return extra


def _where_other(second: Sequence[str], main: Sequence[str]) -> PerImage:
    pairs = zip(second, main, strict=True)
    return PerImage(tuple(text if text != first else None for text, first in pairs))
