"""Requests to enlarge and mend pictures, and how what was done is told.

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
    """One thing done to a picture; they go by `order`, then by name."""

    name: str
    order: int


UPSCALE, GFPGAN, CODEFORMER = (
    PostprocessingStep("Upscale", 1000),
    PostprocessingStep("GFPGAN", 2000),
    PostprocessingStep("CodeFormer", 3000),
)

STEPS = (UPSCALE, GFPGAN, CODEFORMER)
"""Those of A1111 that its API makes use of (spec images.md 10)."""


def steps_in_order(
    first: tuple[str, ...], disabled: tuple[str, ...]
) -> tuple[PostprocessingStep, ...]:
    """All but the `disabled`; those named `first` lead, in that order."""
    wanted = [step for step in STEPS if step.name not in disabled]
    places = {name: place for place, name in reversed(list(enumerate(first)))}
    return tuple(
        sorted(wanted, key=lambda step: (places.get(step.name, len(first)), step.order, step.name))
    )


def description(done: Mapping[str, object]) -> str:
    """What was done, as the picture itself tells it (spec images.md 10.3)."""
    return ", ".join(f"{key}: {quote(value)}" for key, value in done.items())


def html_info(done: Mapping[str, object]) -> str:
    """The same as the reply tells it."""
    return f"<p>{html.escape(description(done))}</p>"
