"""Outpainting mk2 and Poor man's outpainting: their arguments, and the size of the result.

Source: spec scripts.md 10 and 11.
"""

import math
from typing import Annotated

import msgspec

from hexfusion.domain.generation import MAX_SIDE
from hexfusion.domain.picture_boxes import Size
from hexfusion.domain.scripts.arguments import Arguments, Choice, Note, Several, Slider, Whole

MK2 = "Outpainting mk2"
POOR_MANS = "Poor man's outpainting"
SIDES = ("left", "right", "up", "down")
CONTENTS = ("fill", "original", "latent noise", "latent nothing")
STEP = 64
MAX_BLUR = 64


class OutpaintingMk2(Arguments, frozen=True):
    """Arguments of Outpainting mk2; `falloff` and `variation` shape the noise in the new area."""

    note: Annotated[object, Note()] = (
        "<p>Many steps (80 to 100), Euler a and a denoising strength of 0.8 serve it best</p>"
    )
    pixels: Annotated[int, Whole("Pixels to expand", 8, 256, 8, MAX_SIDE)] = 128
    blur: Annotated[int, Whole("Mask blur", 0, MAX_BLUR, 1)] = 8
    sides: Annotated[tuple[str, ...], Several("Outpainting direction", SIDES)] = SIDES
    falloff: Annotated[float, Slider("Fall-off exponent (lower=higher detail)", 0.0, 4.0, 0.01)] = (
        1.0
    )
    variation: Annotated[float, Slider("Color variation", 0.0, 1.0, 0.01)] = 0.05


class PoorMansOutpainting(Arguments, frozen=True):
    """Arguments of Poor man's outpainting; `content` is the masked content, as inpainting_fill."""

    pixels: Annotated[int, Whole("Pixels to expand", 8, 256, 8, MAX_SIDE)] = 128
    blur: Annotated[int, Whole("Mask blur", 0, MAX_BLUR, 1)] = 4
    content: Annotated[str, Choice("Masked content", CONTENTS, numbered=True)] = "fill"
    sides: Annotated[tuple[str, ...], Several("Outpainting direction", SIDES)] = SIDES


class Growth(msgspec.Struct, frozen=True):
    """The pixels that are added at each side of a picture of `size` (width, height)."""

    size: Size
    left: int
    right: int
    up: int
    down: int

    @property
    def target(self) -> Size:
        width, height = self.size
        return self.left + width + self.right, self.up + height + self.down


def growth(size: Size, pixels: int, sides: tuple[str, ...]) -> Growth:
    """Growth by at least `pixels` at these sides; width and height become multiples of 64."""
    left, right = _shares(size[0], pixels, "left" in sides, "right" in sides)
    up, down = _shares(size[1], pixels, "up" in sides, "down" in sides)
    return Growth(size, left, right, up, down)


def _shares(length: int, pixels: int, before: bool, after: bool) -> tuple[int, int]:
    if not (before or after):
        return 0, 0
    total = rounded_up(length + pixels * (before + after)) - length
    first = total * before // (before + after)
    return first, total - first


def rounded_up(length: int) -> int:
    """`length` rounded up to a multiple of 64."""
    return math.ceil(length / STEP) * STEP
