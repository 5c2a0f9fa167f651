"""From what is asked to what is to be done. `txt2img` and `img2img` are the ways in; what both do
is in `job`, and in one module for each part of it."""

from hexfusion.application.planning.img2img import plan_img2img
from hexfusion.application.planning.job import JobPlan, ModelChoice
from hexfusion.application.planning.texts import Prompts
from hexfusion.application.planning.txt2img import plan_txt2img

__all__ = ["JobPlan", "ModelChoice", "Prompts", "plan_img2img", "plan_txt2img"]
