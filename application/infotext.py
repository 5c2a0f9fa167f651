"""What infotext and `info` say of a job. Source: spec prompts.md 8.2, api.md 9."""

import msgspec

from application.planning import Txt2ImgPlan
from domain.checkpoints import Checkpoint
from domain.generation import Info, Txt2Img
from domain.infotext import (
    Extra,
    GenerationFacts,
    info_parameters,
    infotext_parameters,
    write_infotext,
)
from domain.options import Options
from domain.plan import SamplingPlan, TextPlan
from domain.sampling.names import effective_scheduler
from domain.sampling.schedulers import AUTOMATIC, find_scheduler


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A job in words: one infotext per picture asked for, and what `info` needs besides."""

    request: Txt2Img
    plan: Txt2ImgPlan
    infotexts: tuple[str, ...]
    extra: dict[str, Extra]
    clip_skip: int
    version: str

    def info(self, infotexts: tuple[str, ...], job_timestamp: str) -> Info:
        """The `info` object for the pictures that were made."""
        request, plan = self.request, self.plan
        count = len(plan.seeds)
        return Info(
            prompt=plan.prompt,
            all_prompts=[plan.prompt] * count,
            negative_prompt=plan.negative_prompt,
            all_negative_prompts=[plan.negative_prompt] * count,
            seed=plan.seeds[0],
            all_seeds=list(plan.seeds),
            subseed=plan.subseeds[0],
            all_subseeds=list(plan.subseeds),
            subseed_strength=request.subseed_strength,
            width=request.width,
            height=request.height,
            sampler_name=plan.sampling.sampler.name,
            cfg_scale=request.cfg_scale,
            steps=request.steps,
            batch_size=request.batch_size,
            restore_faces=bool(request.restore_faces),
            face_restoration_model=None,
            sd_model_name=plan.checkpoint.name_for_extra,
            sd_model_hash=plan.checkpoint.shorthash,
            sd_vae_name=None,
            sd_vae_hash=None,
            seed_resize_from_w=request.seed_resize_from_w,
            seed_resize_from_h=request.seed_resize_from_h,
            denoising_strength=request.denoising_strength,
            extra_generation_params=dict(info_parameters(self.extra)),
            index_of_first_image=0,
            infotexts=list(infotexts),
            styles=list(request.styles or []),
            job_timestamp=job_timestamp,
            clip_skip=self.clip_skip,
            is_using_inpainting_conditioning=False,
            version=self.version,
        )


def describe(request: Txt2Img, plan: Txt2ImgPlan, options: Options, version: str) -> Description:
    """Describe a planned job. The checkpoint's hash is shown if the plan knows it."""
    extra = _extra(plan.sampling, plan.batches[0].text)
    infotexts = tuple(
        write_infotext(
            plan.prompt,
            plan.negative_prompt,
            infotext_parameters(_facts(request, plan, options, version, extra, index), index),
        )
        for index in range(len(plan.seeds))
    )
    return Description(
        request=request,
        plan=plan,
        infotexts=infotexts,
        extra=extra,
        clip_skip=options.integer("CLIP_stop_at_last_layers"),
        version=version,
    )


def _facts(
    request: Txt2Img,
    plan: Txt2ImgPlan,
    options: Options,
    version: str,
    extra: dict[str, Extra],
    index: int,
) -> GenerationFacts:
    return GenerationFacts(
        steps=request.steps,
        sampler=plan.sampling.sampler.name,
        scheduler=plan.sampling.scheduler,
        cfg_scale=request.cfg_scale,
        seed=plan.seeds[index],
        width=request.width,
        height=request.height,
        model_hash=_model_hash(plan.checkpoint, options),
        model=(plan.checkpoint.name_for_extra if options.flag("add_model_name_to_info") else None),
        subseed=plan.subseeds[index],
        subseed_strength=request.subseed_strength,
        seed_resize_from_width=request.seed_resize_from_w,
        seed_resize_from_height=request.seed_resize_from_h,
        clip_skip=options.integer("CLIP_stop_at_last_layers"),
        ensd=_ensd(plan.sampling),
        rng=options.text("randn_source"),
        extra=extra,
        version=version if options.flag("add_version_to_infotext") else None,
    )


def _model_hash(checkpoint: Checkpoint, options: Options) -> str | None:
    return checkpoint.shorthash if options.flag("add_model_hash_to_info") else None


def _ensd(sampling: SamplingPlan) -> int:
    used = sampling.sampler.uses_ensd and sampling.parameters.eta != 0
    return sampling.options.eta_noise_seed_delta if used else 0


def _extra(sampling: SamplingPlan, text: TextPlan) -> dict[str, Extra]:
    """Settings that are not the default and reach this sampler, in A1111's order."""
    extra: dict[str, Extra] = {}
    sampler, chosen = sampling.sampler, sampling.options
    by_sigma = sampler.space == "sigma"
    label = effective_scheduler(sampler, sampling.scheduler)
    scheduled = by_sigma and label != AUTOMATIC.label
    if scheduled:
        extra["Schedule type"] = label
    if text.emphasis != "Original" and _emphasised(text):
        extra["Emphasis"] = text.emphasis
    if chosen.use_downcasted_alpha_bar:
        extra["Downcast alphas_cumprod"] = True
    if chosen.sd_noise_schedule != "Default":
        extra["Noise Schedule"] = chosen.sd_noise_schedule
    if chosen.always_discard_next_to_last_sigma and not sampler.discard_penultimate:
        extra["Discard penultimate sigma"] = True
    if scheduled:
        extra |= _schedule_extra(sampling, label)
    if by_sigma and chosen.sgm_noise_multiplier:
        extra["SGM noise multiplier"] = True
    extra |= _parameter_extra(sampling)
    if chosen.skip_early_cond:
        extra["Skip Early CFG"] = chosen.skip_early_cond
    if chosen.s_min_uncond > 0:
        extra["NGMS"] = chosen.s_min_uncond
        if chosen.s_min_uncond_all:
            extra["NGMS all steps"] = True
    return extra


def _emphasised(text: TextPlan) -> bool:
    parts = (part for prompt in (text.positive[0], text.negative[0]) for part in prompt)
    # As A1111 judges: by the brackets, whatever they mean (spec prompts.md 5.5).
    return any("(" in step.text or "[" in step.text for part in parts for step in part.schedule)


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
    """eta where it is not its default; churn only where an option sets it."""
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
