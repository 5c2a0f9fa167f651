"""Filling a request from infotext: it takes from the text what it does not say itself.

Source: spec prompts.md 8.6 and 8.7, api.md 10. Meant differently from A1111, so that the infotext
of a picture gives the picture again:

* `styles` is a list of names; A1111 makes a text of it, and applies none.
* `Seed resize from` is width, then height; A1111 takes them the other way round.
* Hires fix is on where the text tells of it, not for any denoising strength, as img2img has one.
* A hires pass with a sampler of its own keeps the schedule the text tells; A1111 loses it where it
  is the default of the first pass's sampler.
* An unknown sampler is an error, as is a number that is none; A1111 takes its first sampler.
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
"""What infotext says, by label, with the defaults for what it leaves out."""

FieldReader = Callable[[InfotextParameters], object]
"""The value of a request field, or None where nothing is said. Raises InvalidRequest."""


def prefill(
    request: Request,
    options: Options,
    styles: Sequence[Style],
    checkpoints: Sequence[Checkpoint],
    given: Collection[str] | None = None,
) -> Request:
    """The request with what its `infotext` says; without any, the request as it is.

    Fields named in `given` stay as they are; where None, those that differ from their defaults
    do. Options that the text carries and that differ from `options` join `override_settings`,
    whose own entries win. Raises InvalidRequest("infotext", ...) naming the label that is wrong.
    """
    if not request.infotext:
        return request
    told = parse_infotext(request.infotext, options, styles)
    kept = _changed(request) if given is None else given
    values = {
        field: read(told) for field, read in FIELDS[type(request)].items() if field not in kept
    }
    values = {field: value for field, value in values.items() if value is not None}
    refiner = find_closest(checkpoints, str(values.get("refiner_checkpoint", "")))
    if refiner is not None:
        values["refiner_checkpoint"] = refiner.title
    own = request.override_settings or {}
    overrides = {**own, **overrides_from_infotext(told, options, own)}
    return msgspec.structs.replace(request, **values, override_settings=overrides)


def _changed(request: Txt2Img | Img2Img) -> Collection[str]:
    default = type(request)()
    return [
        name
        for name in request.__struct_fields__
        if getattr(request, name) != getattr(default, name)
    ]


def _text(label: str) -> FieldReader:
    return lambda told: str(told[label]) if label in told else None


def _integer(label: str) -> FieldReader:
    return _number(label, int, "an integer")


def _float(label: str) -> FieldReader:
    return _number(label, _finite, "a number")


def _number(label: str, convert: Callable[[str], float], what: str) -> FieldReader:
    def read(told: InfotextParameters) -> object:
        if label not in told:
            return None
        try:
            return convert(str(told[label]))
        except ValueError:
            raise _wrong(label, told[label], f"is not {what}") from None

    return read


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _wrong(label: str, value: object, why: str) -> InvalidRequest:
    return InvalidRequest("infotext", f"{label}: {str(value)[:80]!r} {why}")


def _hires_wanted(told: InfotextParameters) -> bool:
    labels = ("Hires upscale", "Hires upscaler", "Hires resize-1", "Hires resize-2")
    return "Denoising strength" in told and any(
        str(told.get(label, 0)) not in ("", "0") for label in labels
    )


def _sampling(told: InfotextParameters) -> tuple[str, str]:
    """Sampler name and schedule label; "Automatic" where the schedule is the sampler's own."""
    found = _resolved(told.get("Sampler"), told.get("Schedule type"))
    if found is None:
        raise _wrong("Sampler", told.get("Sampler"), "is not a sampler")
    return found


def _hires_sampling(told: InfotextParameters) -> tuple[str, str]:
    """The same of the hires pass, or the words for "the same" as in the first pass."""
    name = told.get("Hires sampler", SAME_SAMPLER)
    label = told.get("Hires schedule type", SAME_SCHEDULER)
    first_name, first_label = told.get("Sampler"), told.get("Schedule type")
    same = name == SAME_SAMPLER
    found = _resolved(
        first_name if same else name, first_label if label == SAME_SCHEDULER else label
    )
    if found is None:
        if not same:
            raise _wrong("Hires sampler", name, "is not a sampler")
        return SAME_SAMPLER, SAME_SCHEDULER  # as the one that the request names itself
    sampler, schedule = found
    first = _resolved(first_name, first_label)
    if schedule == first_label and (first is None or schedule == first[1]):
        schedule = SAME_SCHEDULER
    return SAME_SAMPLER if sampler == first_name else sampler, schedule


def _resolved(name: object, schedule: object) -> tuple[str, str] | None:
    """Both names as the catalogue has them; None for an unknown sampler."""
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
    "sampler_name": lambda told: _sampling(told)[0],
    "scheduler": lambda told: _sampling(told)[1],
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
    "styles": lambda told: told.get("Styles array"),
    "denoising_strength": _float("Denoising strength"),
    "enable_hr": _hires_wanted,
    "hr_scale": _float("Hires upscale"),
    "hr_upscaler": _text("Hires upscaler"),
    "hr_second_pass_steps": _integer("Hires steps"),
    "hr_resize_x": _integer("Hires resize-1"),
    "hr_resize_y": _integer("Hires resize-2"),
    "hr_checkpoint_name": _text("Hires checkpoint"),
    "hr_sampler_name": lambda told: _hires_sampling(told)[0],
    "hr_scheduler": lambda told: _hires_sampling(told)[1],
    "hr_prompt": _text("Hires prompt"),
    "hr_negative_prompt": _text("Hires negative prompt"),
    **_EVERY_PASS,
}

FIELDS: Mapping[type, Mapping[str, FieldReader]] = {Txt2Img: _TXT2IMG, Img2Img: _EVERY_PASS}
"""What each kind of request takes, by request field."""
