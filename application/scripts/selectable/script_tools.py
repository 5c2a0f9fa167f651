"""`ScriptTools`: the ports and functions that scripts use besides generation."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageFont
from PIL.Image import Image
from PIL.ImageFont import FreeTypeFont

from hexfusion.application.pictures.captions import OpenFont
from hexfusion.application.ports.upscale import Advance, Upscaler
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.options import Options


def built_in_font(file: str, size: int) -> FreeTypeFont:
    """Pillow's built-in font; the default for `open_font`."""
    font = ImageFont.load_default(size)
    assert isinstance(font, FreeTypeFont), "Pillow comes with FreeType"
    return font


MatchedNoise = Callable[[Image, Image, float, float], Image]
"""(picture, mask, fall-off, colour variation) -> the picture (RGB) with noise that matches it where
the mask (RGB, of the same size) is white (spec scripts.md 10)."""


Words = Callable[[Image, str, Options, Advance], str]
"""(RGB picture, "clip" or "deepdanbooru", options, progress callback) -> caption or tags."""


def no_noise(picture: Image, mask: Image, falloff: float, variation: float) -> Image:
    """An unchanged copy of the picture; the default for `matched_noise`."""
    return picture.copy()


@dataclass(frozen=True)
class ScriptTools:
    """Ports and functions for scripts.

    `closest` finds a checkpoint by an approximate name, or raises `NotFound`. `words` captions
    pictures, None without interrogation.
    """

    upscaler: Upscaler
    draw_seed: Callable[[], int]
    closest: Callable[[str], Checkpoint]
    open_font: OpenFont = built_in_font
    matched_noise: MatchedNoise = no_noise
    words: Words | None = None
