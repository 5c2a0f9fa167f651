"""Soft inpainting: a mask's border decided by what changed.

Source: spec images.md 8, scripts.md 14.
"""

from collections.abc import Mapping, Sequence

import msgspec

from hexfusion.domain.errors import InvalidRequest

TITLE = "soft inpainting"
"""What A1111 lists the script as."""


class SoftInpainting(msgspec.Struct, frozen=True, kw_only=True):
    """Its settings, in the order of A1111's arguments.

    While it is painted, the old picture shines through where the mask is not white: less so at high
    noise the higher `power` is, in the end by `scale`; `detail` keeps contrasts where both mix.
    Afterwards what changed little is the old picture: less than `threshold` is little, `contrast`
    is how sharp the border is there, and `mask_influence` how much the mask still counts.
    """

    power: float = 1.0
    scale: float = 0.5
    detail: float = 4.0
    mask_influence: float = 0.0
    threshold: float = 0.5
    contrast: float = 2.0


SPANS = {
    "power": (0, 8),
    "scale": (0, 8),
    "detail": (1, 32),
    "mask_influence": (0, 1),
    "threshold": (0, 8),
    "contrast": (0, 8),
}
"""What A1111's form allows."""

LABELS = {
    "power": "schedule bias",
    "scale": "preservation strength",
    "detail": "transition contrast boost",
    "mask_influence": "mask influence",
    "threshold": "difference threshold",
    "contrast": "difference contrast",
}
"""Infotext's words for the settings, behind "Soft inpainting"."""


def asked_for(scripts: Mapping[str, object]) -> SoftInpainting | None:
    """What a request's always-on scripts say of it; None where it is off.

    Arguments that are missing keep their defaults. Raises `InvalidRequest` for one that is no
    number, or out of its span.
    """
    for title, given in scripts.items():
        if title.lower() == TITLE and isinstance(given, Mapping):
            return _settings(given.get("args") or ())
    return None


def _settings(arguments: object) -> SoftInpainting | None:
    if not isinstance(arguments, Sequence) or isinstance(arguments, str):
        raise InvalidRequest("alwayson_scripts", f"{TITLE}: args must be a list")
    if not arguments or not arguments[0]:
        return None
    values = dict(zip(SPANS, arguments[1:], strict=False))
    for name, value in values.items():
        low, high = SPANS[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and low <= value <= high):
            message = f"{TITLE}: {LABELS[name]} must be from {low} to {high}, not {value!r}"
            raise InvalidRequest("alwayson_scripts", message)
    return SoftInpainting(**values)
