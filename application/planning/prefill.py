"""Fills the fields that a request does not give from its `infotext`.

Source: spec prompts.md 8.6 and 8.7, api.md 10. Differs from A1111 on purpose, so that the infotext
of a picture reproduces the picture:

* `styles` is a list of names; A1111 makes it a text, and applies no style.
* `Seed resize from` is width, then height; A1111 swaps them.
* Hires fix is on if the text has a hires label; in A1111 a denoising strength, which img2img has
  too, is enough.
* A hires pass with a sampler of its own keeps the schedule in the text; A1111 loses it if it is the
  default of the first pass's sampler.
* An unknown sampler and a malformed number are errors; A1111 takes its first sampler.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import msgspec

from hexfusion.domain.checkpoints import Checkpoint, find_closest
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.infotext import (
    SAME_SAMPLER,
    SAME_SCHEDULER,
    ParameterValue,
    overrides_from_infotext,
    parse_infotext,
)
from hexfusion.domain.options import Options
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.names import resolve_names

Request = TypeVar("Request", Txt2Img, Img2Img)

InfotextParameters = Mapping[str, ParameterValue]
"""The parameters of an infotext by label, with defaults for omitted ones."""

FieldReader = Callable[[InfotextParameters], object]
"""infotext parameters -> value of a request field, None to leave it. Raises InvalidRequest."""


def prefill(
    request: Request,
    options: Options,
    styles: Sequence[Style],
    checkpoints: Sequence[Checkpoint],
    given: Collection[str] | None = None,
) -> Request:
    """The request with fields filled from its `infotext`; without infotext, the request itself.

    Fields named in `given` are not changed; with None, those that differ from their defaults are
    not. Options in the text that differ from `options` are added to `override_settings`, whose own
    entries take precedence. Raises InvalidRequest("infotext", ...) naming the invalid label.
    """
    if not request.infotext:
        return request
    parameters = parse_infotext(request.infotext, options, styles)
    kept = _changed(request) if given is None else given
    values = {
        field: read(parameters)
        for field, read in FIELDS[type(request)].items()
        if field not in kept
    }
    values = {field: value for field, value in values.items() if value is not None}
    refiner = find_closest(checkpoints, str(values.get("refiner_checkpoint", "")))
    if refiner is not None:
        values["refiner_checkpoint"] = refiner.title
    own = request.override_settings or {}
    overrides = {**own, **overrides_from_infotext(parameters, options, own)}
    return msgspec.structs.replace(request, **values, override_settings=overrides)


def _changed(request: Txt2Img | Img2Img) -> Collection[str]:
    default = type(request)()
    return [
        name
        for name in request.__struct_fields__
        if getattr(request, name) != getattr(default, name)
    ]


def _text(label: str) -> FieldReader:
    return lambda parameters: str(parameters[label]) if label in parameters else None


def _integer(label: str) -> FieldReader:
    return _number(label, int, "an integer")


def _float(label: str) -> FieldReader:
    return _number(label, _finite, "a number")


def _number(label: str, convert: Callable[[str], float], what: str) -> FieldReader:
    def read(parameters: InfotextParameters) -> object:
        if label not in parameters:
            return None
        try:
            return convert(str(parameters[label]))
        except ValueError:
            raise _invalid(label, parameters[label], f"is not {what}") from None

    return read


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _invalid(label: str, value: object, why: str) -> InvalidRequest:
    return InvalidRequest("infotext", f"{label}: {str(value)[:80]!r} {why}")


def _hires_wanted(parameters: InfotextParameters) -> bool:
    labels = ("Hires upscale", "Hires upscaler", "Hires resize-1", "Hires resize-2")
    return "Denoising strength" in parameters and any(
        str(parameters.get(label, 0)) not in ("", "0") for label in labels
    )


def _sampling(parameters: InfotextParameters) -> tuple[str, str]:
    """(sampler name, schedule label); "Automatic" for the sampler's default schedule."""
    names = _resolved(parameters.get("Sampler"), parameters.get("Schedule type"))
    if names is None:
        raise _invalid("Sampler", parameters.get("Sampler"), "is not a sampler")
    return names


def _hires_sampling(parameters: InfotextParameters) -> tuple[str, str]:
    """The same for the hires pass, or A1111's words for "as in the first pass"."""
    name = parameters.get("Hires sampler", SAME_SAMPLER)
    label = parameters.get("Hires schedule type", SAME_SCHEDULER)
    first_name, first_label = parameters.get("Sampler"), parameters.get("Schedule type")
    same = name == SAME_SAMPLER
    names = _resolved(
        first_name if same else name, first_label if label == SAME_SCHEDULER else label
    )
    if names is None:
        if not same:
            raise _invalid("Hires sampler", name, "is not a sampler")
        return SAME_SAMPLER, SAME_SCHEDULER  # the first pass's is given by the request itself
    sampler, schedule = names
    first = _resolved(first_name, first_label)
    if schedule == first_label and (first is None or schedule == first[1]):
        schedule = SAME_SCHEDULER
    return SAME_SAMPLER if sampler == first_name else sampler, schedule


def _resolved(name: object, schedule: object) -> tuple[str, str] | None:
    """(sampler name, schedule label) as in the catalogue; None for an unknown sampler."""
    try:
        sampler, label = resolve_names(
            None if name is None else str(name),
            None if schedule is None else str(schedule),
            convert_automatic=True,
        )
    except NotFound:
        return None
    return sampler.name, label


_EVERY_PASS: Mapping[str, FieldReader] = {
    "steps": _integer("Steps"),
    "sampler_name": lambda parameters: _sampling(parameters)[0],
    "scheduler": lambda parameters: _sampling(parameters)[1],
    "seed": _integer("Seed"),
    "subseed": _integer("Variation seed"),
    "subseed_strength": _float("Variation seed strength"),
    "seed_resize_from_w": _integer("Seed resize from-1"),
    "seed_resize_from_h": _integer("Seed resize from-2"),
    "refiner_checkpoint": _text("Refiner"),
    "refiner_switch_at": _float("Refiner switch at"),
}

_TXT2IMG: Mapping[str, FieldReader] = {
    "prompt": _text("Prompt"),
    "negative_prompt": _text("Negative prompt"),
    "cfg_scale": _float("CFG scale"),
    "width": _integer("Size-1"),
    "height": _integer("Size-2"),
    "batch_size": _integer("Batch size"),
    "styles": lambda parameters: parameters.get("Styles array"),
    "denoising_strength": _float("Denoising strength"),
    "enable_hr": _hires_wanted,
    "hr_scale": _float("Hires upscale"),
    "hr_upscaler": _text("Hires upscaler"),
    "hr_second_pass_steps": _integer("Hires steps"),
    "hr_resize_x": _integer("Hires resize-1"),
    "hr_resize_y": _integer("Hires resize-2"),
    "hr_checkpoint_name": _text("Hires checkpoint"),
    "hr_sampler_name": lambda parameters: _hires_sampling(parameters)[0],
    "hr_scheduler": lambda parameters: _hires_sampling(parameters)[1],
    "hr_prompt": _text("Hires prompt"),
    "hr_negative_prompt": _text("Hires negative prompt"),
    **_EVERY_PASS,
}

FIELDS: Mapping[type, Mapping[str, FieldReader]] = {Txt2Img: _TXT2IMG, Img2Img: _EVERY_PASS}
"""For each kind of request, the fields that can be filled and their readers."""
