"""Extras (upscaling and face restoration of existing pictures): requests and result texts.

Source: spec api.md 12.1 (fields, defaults), images.md 10.
"""

import html
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hexfusion.domain.infotext import quote

Share = Annotated[float, Meta(ge=0, le=1)]


class ExtrasRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are enlarged and mended."""

    resize_mode: Annotated[Literal[0, 1], Meta(description="0: by a factor, 1: to a size.")] = 0
    show_extras_results: Annotated[bool, Meta(description="Without effect, as in A1111.")] = True
    gfpgan_visibility: Annotated[Share, Meta(description="Share of GFPGAN's faces.")] = 0
    codeformer_visibility: Annotated[Share, Meta(description="Share of CodeFormer's faces.")] = 0
    codeformer_weight: Annotated[
        Share, Meta(description="0: CodeFormer changes most, 1: least.")
    ] = 0
    upscaling_resize: Annotated[float, Meta(description="The factor, for mode 0.", gt=0)] = 2
    upscaling_resize_w: Annotated[int, Meta(description="Width, for mode 1.", ge=1)] = 512
    upscaling_resize_h: Annotated[int, Meta(description="Height, for mode 1.", ge=1)] = 512
    upscaling_crop: Annotated[
        bool, Meta(description="Crop to that size what has another shape, for mode 1.")
    ] = True
    upscaler_1: Annotated[str, Meta(description="See /upscalers.")] = "None"
    upscaler_2: Annotated[str, Meta(description="Another, mixed in.")] = "None"
    extras_upscaler_2_visibility: Annotated[Share, Meta(description="Share of the other.")] = 0
    upscale_first: Annotated[bool, Meta(description="Without effect, as in A1111.")] = False


class PostprocessingStep(msgspec.Struct, frozen=True):
    """One postprocessing operation. Operations run in ascending `order`, then by name."""

    name: str
    order: int


UPSCALE, GFPGAN, CODEFORMER = (
    PostprocessingStep("Upscale", 1000),
    PostprocessingStep("GFPGAN", 2000),
    PostprocessingStep("CodeFormer", 3000),
)

STEPS = (UPSCALE, GFPGAN, CODEFORMER)
"""The operations that A1111's API can run (spec images.md 10)."""


def steps_in_order(
    first: tuple[str, ...], disabled: tuple[str, ...]
) -> tuple[PostprocessingStep, ...]:
    """The operations in the order they run.

    Names in `disabled` are left out; names in `first` come first, in that order (options
    `postprocessing_disable_in_extras` and `postprocessing_operation_order`).
    """
    wanted = [step for step in STEPS if step.name not in disabled]
    places = {name: place for place, name in reversed(list(enumerate(first)))}
    return tuple(
        sorted(wanted, key=lambda step: (places.get(step.name, len(first)), step.order, step.name))
    )


def description(done: Mapping[str, object]) -> str:
    """`key: value` pairs of what was done, as written into the picture (spec images.md 10.3)."""
    return ", ".join(f"{key}: {quote(value)}" for key, value in done.items())


def html_info(done: Mapping[str, object]) -> str:
    """The same text as an HTML paragraph, for the reply's `html_info`."""
    return f"<p>{html.escape(description(done))}</p>"
