"""Planning: from a request and the options to a `JobPlan`, before anything is computed.

`txt2img` and `img2img` are the entry points; `job` has what both share, with a module for each
part of a plan.
"""

from hexfusion.application.planning.img2img import plan_img2img
from hexfusion.application.planning.job import JobPlan, ModelChoice
from hexfusion.application.planning.texts import Prompts
from hexfusion.application.planning.txt2img import plan_txt2img

__all__ = ["JobPlan", "ModelChoice", "Prompts", "plan_img2img", "plan_txt2img"]
