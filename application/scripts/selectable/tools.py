"""What scripts need beside generation."""

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
    """Pillow's own letters, where nobody gives others."""
    font = ImageFont.load_default(size)
    assert isinstance(font, FreeTypeFont), "Pillow comes with FreeType"
    return font


MatchedNoise = Callable[[Image, Image, float, float], Image]
"""(picture, mask, fall-off, variation of colour) -> the picture (RGB) with noise like it where the
mask (RGB, of the same size) is white (spec scripts.md 10)."""


Words = Callable[[Image, str, Options, Advance], str]
"""(RGB picture, "clip" or "deepdanbooru", options, whether to go on) -> what it shows."""


def no_noise(picture: Image, mask: Image, falloff: float, variation: float) -> Image:
    """The picture as it is, where nobody gives noise."""
    return picture.copy()


@dataclass(frozen=True)
class Tools:
    """`closest` finds the checkpoint that a name means, or raises `NotFound`. `words` is None where
    nobody finds words for pictures."""

    upscaler: Upscaler
    draw_seed: Callable[[], int]
    closest: Callable[[str], Checkpoint]
    open_font: OpenFont = built_in_font
    matched_noise: MatchedNoise = no_noise
    words: Words | None = None
