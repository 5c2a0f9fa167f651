"""What a plan says of its VAEs before the job waits. Source: spec networks.md 1.6, modern.md."""

import logging

import msgspec

from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.planning import JobPlan
from hexfusion.domain.options import Options

_log = logging.getLogger(__name__)


def checked_vaes(plan: JobPlan, vaes: Vaes, options: Options) -> JobPlan:
    """The plan, with a comment on Forge's modules that have no effect here.

    Forge leaves out what it does not know, too, but silently. Raises `MissingVae` if pictures of
    the plan need a VAE and one of its checkpoints has none: before the job waits, and before
    gigabytes are loaded.
    """
    if plan.first.needs_vae:
        for checkpoint, _ in plan.first.models:
            vaes.check(options, checkpoint)
    left = vaes.other_modules(options)
    if not left:
        return plan
    names = ", ".join(map(repr, left))
    comment = f"forge_additional_modules: no VAE file is called {names}: left out"
    _log.warning("%s", comment)
    return plan.each(lambda batch: msgspec.structs.replace(batch, comments=(comment,)))
