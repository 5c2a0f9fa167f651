"""Infotext entries that are known only after sampling. Source: spec prompts.md 8.2."""

from collections.abc import Mapping, Set

from hexfusion.domain.infotext import Extra
from hexfusion.domain.plan import Plan


def infotext_facts(plan: Plan, happened: Set[str]) -> Mapping[str, Extra]:
    """Entries by label, in infotext's order, for the labels in `happened`.

    See `GuidedDenoiser.happened`.
    """
    options = plan.sampling.options
    facts: dict[str, Extra] = {}
    if "Conditional mask weight" in happened:
        facts["Conditional mask weight"] = plan.mask_weight
    if "Image CFG scale" in happened and plan.init:
        facts["Image CFG scale"] = plan.init.image_cfg_scale
    if "Skip Early CFG" in happened:
        facts["Skip Early CFG"] = options.skip_early_cond
    if "NGMS" in happened:
        facts["NGMS"] = options.s_min_uncond
        if options.s_min_uncond_all:
            facts["NGMS all steps"] = True
    if "Refiner" in happened:
        facts |= _refiner_facts(plan)
    return facts | {label: True for label in ("Pad conds", "Pad conds v0") if label in happened}


def _refiner_facts(plan: Plan) -> dict[str, Extra]:
    refiners = [each.refiner for each in plan.passes]
    refiner = next(each for each in refiners if each is not None)
    facts: dict[str, Extra] = {}
    if refiner.by_sample_steps:
        facts["Refiner switch by sampling steps"] = True
    if refiner.hires_pass not in ("", "second pass"):  # the default is not told
        facts["Hires refiner"] = refiner.hires_pass
    facts["Refiner"] = refiner.checkpoint.short_title
    facts["Refiner switch at"] = refiner.switch_at
    return facts
