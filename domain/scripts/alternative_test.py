"""img2img alternative test: its arguments. Source: spec scripts.md 12."""

from typing import Annotated

from hexfusion.domain.generation import MAX_STEPS
from hexfusion.domain.scripts.arguments import Arguments, Note, Slider, Switch, Text, Whole

TITLE = "img2img alternative test"


class AlternativeTest(Arguments, frozen=True):
    """The original prompt, the settings of inversion, and which of them replace the request's."""

    note: Annotated[object, Note()] = "A `CFG Scale` of 2 at most serves it best."
    euler: Annotated[
        bool, Switch("Override `Sampling method` to Euler?(this method is built for it)")
    ] = True
    same_prompt: Annotated[
        bool,
        Switch("Override `prompt` to the same value as `original prompt`?(and `negative prompt`)"),
    ] = True
    prompt: Annotated[str, Text("Original prompt")] = ""
    negative_prompt: Annotated[str, Text("Original negative prompt")] = ""
    same_steps: Annotated[
        bool, Switch("Override `Sampling Steps` to the same value as `Decode steps`?")
    ] = True
    steps: Annotated[int, Whole("Decode steps", 1, 150, 1, MAX_STEPS)] = 50
    full_strength: Annotated[bool, Switch("Override `Denoising strength` to 1?")] = True
    cfg_scale: Annotated[float, Slider("Decode CFG scale", 0.0, 15.0, 0.1)] = 1.0
    randomness: Annotated[float, Slider("Randomness", 0.0, 1.0, 0.01)] = 0.0
    adjust_sigma: Annotated[bool, Switch("Sigma adjustment for finding noise for image")] = False
