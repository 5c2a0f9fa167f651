"""Defaults for parameters that infotext omits, and conversion of older versions' parameters.

Source: spec prompts.md 8.5. Both functions modify the mapping they are given, in place.
"""

import math
from collections.abc import Mapping, MutableMapping
from typing import Any

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.infotext.version import VersionKey, version_key
from hexfusion.domain.prompts.attention import parse_attention, uses_emphasis

SAME_SAMPLER = "Use same sampler"
SAME_SCHEDULER = "Use same scheduler"
SAME_CHECKPOINT = "Use same checkpoint"
"""Values that mean "as in the first pass" for the hires pass; in a request, null means the same."""

_HIRES_AND_INPAINTING: Mapping[str, object] = {
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": SAME_SAMPLER,
    "Hires schedule type": SAME_SCHEDULER,
    "Hires checkpoint": SAME_CHECKPOINT,
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
}
_SAMPLING: Mapping[str, object] = {
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
}


def fill_defaults(parameters: MutableMapping[str, Any], old_hires_sizes: bool = False) -> None:
    """Add default values for omitted parameters; convert old notations into current ones.

    `old_hires_sizes` makes `Size` the size after hires fix, as requests once gave it.
    """
    # The tag added below may have brackets in it, and they are no emphasis.
    emphasised = _has_emphasis(parameters["Prompt"]) or _has_emphasis(parameters["Negative prompt"])
    parameters.setdefault("Clip skip", "1")
    if "Hypernet" in parameters:
        strength = parameters.get("Hypernet strength", "1.0")
        parameters["Prompt"] += f"<hypernet:{parameters['Hypernet']}:{strength}>"
    _add_missing(parameters, _HIRES_AND_INPAINTING)
    _convert_hires_sizes(parameters, old_hires_sizes)
    _add_missing(parameters, _SAMPLING)
    if parameters["FP8 weight"] != "Disable":
        parameters.setdefault("Cache FP16 weight for LoRA", False)
    if emphasised:
        parameters.setdefault("Emphasis", "Original")
    parameters.setdefault("Refiner switch by sampling steps", False)


def note_old_behaviour(parameters: MutableMapping[str, Any], version: VersionKey) -> None:
    """Add the compatibility options that reproduce the pictures of A1111 version `version`."""

    def before(text: str) -> bool:
        limit = version_key(text)
        return limit is not None and version < limit

    if before("1.6.0") and "[" in parameters["Prompt"]:
        parameters["Old prompt editing timelines"] = True
    if before("1.6.0") and parameters.get("Sampler") in ("DDIM", "PLMS"):
        parameters["Pad conds v0"] = True
    if before("1.7.0-225"):
        parameters["Downcast alphas_cumprod"] = True
    if before("1.8.0") and parameters.get("Refiner"):
        parameters["Refiner switch by sampling steps"] = True


def _add_missing(parameters: MutableMapping[str, Any], defaults: Mapping[str, object]) -> None:
    for key, value in defaults.items():
        parameters.setdefault(key, value)


def _convert_hires_sizes(parameters: MutableMapping[str, Any], old_hires_sizes: bool) -> None:
    """Old infotext has the final size in `Size` and the first pass's in `First pass size` (0: the
    default)."""
    hires = _sides(parameters, "Hires resize")
    if old_hires_sizes and hires and all(hires):
        parameters["Size-1"], parameters["Size-2"] = hires
        return
    first = _sides(parameters, "First pass size")
    final = _sides(parameters, "Size", default=512)
    if first is None or final is None:
        return
    if not all(first):
        if not all(final):
            return
        scale = math.sqrt(512 * 512 / (final[0] * final[1]))
        first = math.ceil(scale * final[0] / 64) * 64, math.ceil(scale * final[1] / 64) * 64
    parameters["Size-1"], parameters["Size-2"] = first
    parameters["Hires resize-1"], parameters["Hires resize-2"] = final


def _sides(
    parameters: Mapping[str, Any], label: str, default: int | None = None
) -> tuple[int, int] | None:
    """Width and height under a label, or None if they are missing or invalid."""
    sides = [parameters.get(f"{label}-{i}", default) for i in (1, 2)]
    try:
        width, height = (int(side) for side in sides)
    except (TypeError, ValueError):
        return None
    return (width, height) if 0 <= width < 2**31 and 0 <= height < 2**31 else None


def _has_emphasis(prompt: str) -> bool:
    try:
        return uses_emphasis(parse_attention(prompt))
    except InvalidRequest:
        return True  # weights are there, if malformed ones
