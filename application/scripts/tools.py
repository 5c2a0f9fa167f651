"""What scripts need beside generation."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

from application.captions import OpenFont
from application.ports.upscale import Upscaler
from domain.checkpoints import Checkpoint


def built_in_font(file: str, size: int) -> FreeTypeFont:
    """Pillow's own letters, where nobody gives others."""
    font = ImageFont.load_default(size)
    assert isinstance(font, FreeTypeFont), "Pillow comes with FreeType"
    return font


@dataclass(frozen=True)
class Tools:
    """`closest` finds the checkpoint that a name means, or raises `NotFound`."""

    upscaler: Upscaler
    draw_seed: Callable[[], int]
    closest: Callable[[str], Checkpoint]
    open_font: OpenFont = built_in_font
