"""Soft inpainting: blends the old picture in, by how much each part of it changed.

Source: spec images.md 8, scripts.md 14.
"""

from msgspec.structs import replace

from hexfusion.application.planning import JobPlan
from hexfusion.application.scripts.always_on.script import AlwaysOn, Asked, Effect
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.plan import Plan
from hexfusion.domain.scripts.soft_inpainting import TITLE, SoftInpainting


class _Softening(Effect[SoftInpainting]):
    def read(self, arguments: SoftInpainting, asked: Asked) -> SoftInpainting | None:
        return arguments if arguments.enabled and asked.masked else None

    def plan(self, value: SoftInpainting, plan: JobPlan) -> JobPlan:
        """Add the settings. The mask is not rounded, as its grey levels are shares of blending."""

        def softened(batch: Plan) -> Plan:
            assert batch.init is not None, "there is a mask"
            return replace(batch, init=replace(batch.init, soft=value, round_mask=False))

        return plan.each(softened)


SCRIPT = AlwaysOn(TITLE, SoftInpainting, kinds=(Img2Img,), effect=_Softening())
