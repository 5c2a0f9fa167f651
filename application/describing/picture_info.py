"""Use-case: read a picture's infotext and metadata (`/png-info`).

Source: spec prompts.md 8.4, api.md 12.2.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from PIL.Image import Image

from hexfusion.application.pictures.embedded_texts import texts_of
from hexfusion.application.pictures.receiving import Sent, open_with_infotext
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.infotext import (
    ParameterValue,
    add_foreign_loras,
    parse_infotext,
    rename_loras,
)
from hexfusion.domain.options import Options
from hexfusion.domain.plain_values import plain
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.samplers import SAMPLERS

#: Metadata keys left out: technical details of the file, and the infotext itself.
_TECHNICAL = frozenset(
    {
        "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background",
        "timestamp", "duration", "progressive", "progression", "icc_profile", "chromaticity",
        "photoshop", "parameters",
    }
)  # fmt: skip


class PictureInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture tells of itself."""

    info: Annotated[str, Meta(description="Its infotext; empty if there is none.")]
    items: Annotated[dict[str, Any], Meta(description="The other metadata, as JSON values.")]
    parameters: Annotated[
        dict[str, ParameterValue],
        Meta(description="The infotext taken apart, with the defaults for what it leaves out."),
    ]


class ReadPictureInfo:
    """Reads the metadata of pictures from any program. Thread-safe.

    `lora_named` returns the local name of the LoRA with a 12-digit hash, None if there is none.
    """

    def __init__(
        self,
        options: OptionsStore,
        *,
        styles: Callable[[], Sequence[Style]],
        lora_named: Callable[[str, Options], str | None] = lambda digest, options: None,
    ) -> None:
        self._options = options
        self._styles = styles
        self._lora_named = lora_named

    def __call__(self, picture: Sent) -> PictureInfo:
        """Raises InvalidRequest("image", ...) for bytes that are no picture, or too large a one."""
        image, infotext = open_with_infotext(picture)
        text = infotext or ""
        told = image.info | texts_of(image)
        items: dict[str, object] = {
            str(key): value for key, value in told.items() if key not in _TECHNICAL
        }
        if isinstance(items.get("transparency"), bytes) and image.mode in ("P", "RGB"):
            del items["transparency"]  # A1111 makes it an alpha channel (spec api.md 7.1)
        if items.get("Software") == "NovelAI":
            text = _from_novelai(items, image) or text
        options = self._options.snapshot()
        parameters = parse_infotext(text, options, self._styles())
        if "Prompt" in parameters:
            parameters["Prompt"] = add_foreign_loras(parameters)
            parameters["Prompt"] = rename_loras(
                parameters, lambda digest: self._lora_named(digest, options)
            )
        return PictureInfo(info=text, items=plain(items, otherwise=str), parameters=parameters)


def _from_novelai(items: Mapping[str, object], image: Image) -> str | None:
    """A1111's infotext for a picture from NovelAI; None if a value is missing."""
    try:
        comment = json.loads(str(items["Comment"]))
        name = _SAMPLERS.get(str(comment["sampler"]).lower(), "Euler a")
        return (
            f"{items['Description']}\nNegative prompt: {comment['uc']}\n"
            f"Steps: {comment['steps']}, Sampler: {name}, CFG scale: {comment['scale']}, "
            f"Seed: {comment['seed']}, Size: {image.width}x{image.height}, "
            f"Clip skip: 2, ENSD: 31337"
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


_SAMPLERS = {
    name.lower(): sampler.name for sampler in SAMPLERS for name in (sampler.name, *sampler.aliases)
}
