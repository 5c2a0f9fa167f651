"""Soft inpainting: its arguments, which are passed unchanged from the request to the backend.

Source: spec images.md 8, scripts.md 14.
"""

from typing import Annotated

from hexfusion.domain.scripts.arguments import Arguments, Slider, Switch
from hexfusion.domain.scripts.form import Number

TITLE = "Soft Inpainting"


def _slider(label: str, minimum: Number, maximum: Number, step: Number) -> Slider:
    infotext_label = f"Soft inpainting {label.lower()}"
    return Slider(label, minimum, maximum, step, infotext=infotext_label)


class SoftInpainting(Arguments, frozen=True):
    """The settings of soft inpainting.

    While sampling, the old latent is blended in where the mask is not white. `scale` is how much,
    `power` reduces it at high noise, `detail` preserves contrast in the blend. Afterwards, areas
    that changed less than `threshold` get the old picture back; `contrast` is the sharpness of that
    border, and `mask_influence` (0 to 1) how much the mask counts there.
    """

    enabled: Annotated[bool, Switch("Soft inpainting", infotext="Soft inpainting enabled")] = False
    power: Annotated[float, _slider("Schedule bias", 0, 8, 0.1)] = 1
    scale: Annotated[float, _slider("Preservation strength", 0, 8, 0.05)] = 0.5
    detail: Annotated[float, _slider("Transition contrast boost", 1, 32, 0.5)] = 4
    mask_influence: Annotated[float, _slider("Mask influence", 0, 1, 0.05)] = 0
    threshold: Annotated[float, _slider("Difference threshold", 0, 8, 0.25)] = 0.5
    contrast: Annotated[float, _slider("Difference contrast", 0, 8, 0.25)] = 2
