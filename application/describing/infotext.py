"""Builds the infotext and the `info` object of a job. Source: spec prompts.md 8.2, api.md 9."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from hexfusion.application.describing.extra_parameters import extra_parameters, with_facts
from hexfusion.application.planning import JobPlan
from hexfusion.domain.generation import Info
from hexfusion.domain.img2img import AnyRequest
from hexfusion.domain.infotext import (
    Extra,
    GenerationFacts,
    info_parameters,
    infotext_parameters,
    write_infotext,
)
from hexfusion.domain.options import Options
from hexfusion.domain.plan import SamplingPlan

NO_FACTS: Mapping[str, Extra] = MappingProxyType({})


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A job with everything that its infotext needs.

    `facts` (`Rendered.facts`) are passed to the methods, since the backend reports them only after
    rendering. `init_hash` is the hash of a saved init image, `user` the login of the client.
    """

    request: AnyRequest
    plan: JobPlan
    options: Options
    extra: dict[str, Extra]
    version: str
    init_hash: str | None = None
    user: str | None = None

    def infotext(self, index: int, facts: Mapping[str, Extra] = NO_FACTS) -> str:
        """The infotext of the job's picture `index`, from 0."""
        plan = self.plan
        return write_infotext(
            plan.prompts.positive[index],
            plan.prompts.negative[index],
            infotext_parameters(_facts(self, index, facts), index),
        )

    def info(
        self, infotexts: Sequence[str], job_timestamp: str, facts: Mapping[str, Extra] = NO_FACTS
    ) -> Info:
        """The `info` object of the reply; `infotexts` are those of the pictures made."""
        request, plan = self.request, self.plan
        first = plan.first
        return Info(
            prompt=plan.prompts.positive[0],
            all_prompts=list(plan.prompts.positive),
            negative_prompt=plan.prompts.negative[0],
            all_negative_prompts=list(plan.prompts.negative),
            seed=plan.seeds[0],
            all_seeds=list(plan.seeds),
            subseed=plan.subseeds[0],
            all_subseeds=list(plan.subseeds),
            subseed_strength=request.subseed_strength,
            width=plan.width,
            height=plan.height,
            sampler_name=plan.sampling.sampler.name,
            cfg_scale=request.cfg_scale,
            steps=request.steps,
            batch_size=first.batch_size,
            restore_faces=plan.faces is not None,
            face_restoration_model=plan.faces.model if plan.faces else None,
            sd_model_name=plan.checkpoint.name_for_extra,
            sd_model_hash=plan.checkpoint.shorthash,
            sd_vae_name=first.vae.name if first.vae else None,
            sd_vae_hash=first.vae.shorthash if first.vae else None,
            seed_resize_from_w=request.seed_resize_from_w,
            seed_resize_from_h=request.seed_resize_from_h,
            denoising_strength=request.denoising_strength,
            extra_generation_params=dict(info_parameters(with_facts(self.extra, _extra_of(facts)))),
            index_of_first_image=0,
            infotexts=list(infotexts),
            styles=list(request.styles or []),
            job_timestamp=job_timestamp,
            clip_skip=first.text.clip_skip,
            is_using_inpainting_conditioning="Conditional mask weight" in facts,
            version=self.version,
        )


def describe(
    request: AnyRequest,
    plan: JobPlan,
    options: Options,
    version: str,
    extra: Mapping[str, Extra] = NO_FACTS,
    init_hash: str | None = None,
    user: str | None = None,
    *,
    before: Mapping[str, Extra] = NO_FACTS,
) -> Description:
    """Describe a planned job. Hashes of models are included if the plan has them.

    `extra` are the parameters of this kind of job, `before` those of a script, which come first;
    `init_hash` is the hash of a saved init image, `user` the login of the client.
    """
    return Description(
        request=request,
        plan=plan,
        options=options,
        extra={**before, **extra_parameters(plan, options, extra)},
        version=version,
        init_hash=init_hash,
        user=user,
    )


def _extra_of(facts: Mapping[str, Extra]) -> dict[str, Extra]:
    """The facts that A1111 lists among the extra parameters rather than in fields of their own."""
    own = ("Conditional mask weight", "Image CFG scale")
    return {label: value for label, value in facts.items() if label not in own}


def _facts(described: Description, index: int, facts: Mapping[str, Extra]) -> GenerationFacts:
    request, plan, options = described.request, described.plan, described.options
    first, vae = plan.first, plan.first.vae
    return GenerationFacts(
        steps=request.steps,
        sampler=plan.sampling.sampler.name,
        scheduler=plan.sampling.scheduler,
        cfg_scale=request.cfg_scale,
        seed=plan.seeds[index],
        face_restoration=plan.faces.model if plan.faces else None,
        width=plan.width,
        height=plan.height,
        model_hash=plan.checkpoint.shorthash if options.flag("add_model_hash_to_info") else None,
        model=plan.checkpoint.name_for_extra if options.flag("add_model_name_to_info") else None,
        vae_hash=vae.shorthash if vae and options.flag("add_vae_hash_to_info") else None,
        vae=vae.name if vae and options.flag("add_vae_name_to_info") else None,
        subseed=plan.subseeds[index],
        subseed_strength=request.subseed_strength,
        seed_resize_from_width=request.seed_resize_from_w,
        seed_resize_from_height=request.seed_resize_from_h,
        denoising_strength=first.hires.denoising_strength if first.hires else None,
        clip_skip=first.text.clip_skip,
        ensd=max((_ensd(each.sampling) for each in first.passes), key=abs),
        token_merging_ratio=first.tweaks.token_merging_ratio,
        token_merging_ratio_hr=first.hires.tweaks.token_merging_ratio if first.hires else 0.0,
        init_image_hash=described.init_hash,
        rng=options.text("randn_source"),
        tiling=first.tweaks.tiling,
        extra=with_facts(described.extra, facts),
        version=described.version if options.flag("add_version_to_infotext") else None,
        user=described.user if options.flag("add_user_name_to_info") else None,
    )


def _ensd(sampling: SamplingPlan) -> int:
    used = sampling.sampler.uses_ensd and sampling.parameters.eta != 0
    return sampling.options.eta_noise_seed_delta if used else 0
