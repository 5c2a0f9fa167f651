"""From what is asked to what is to be done. `job` is the way in; one module for each part of it."""

from application.planning.job import ModelChoice, Txt2ImgPlan, plan_txt2img
from application.planning.texts import Prompts

__all__ = ["ModelChoice", "Prompts", "Txt2ImgPlan", "plan_txt2img"]
