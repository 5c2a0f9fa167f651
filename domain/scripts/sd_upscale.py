"""SD upscale: its arguments. Source: spec scripts.md 9."""

from typing import Annotated

from hexfusion.domain.generation import MAX_SIDE
from hexfusion.domain.scripts.arguments import Arguments, Choice, Note, Slider, Whole

TITLE = "SD upscale"

#: The largest scale factor; a 4x network reaches it in two rounds.
MAX_FACTOR = 16


class SdUpscale(Arguments, frozen=True):
    """Arguments of SD upscale; `upscaler` is an index in the list of upscalers, or a name."""

    note: Annotated[object, Note()] = (
        "<p>Enlarges the picture, then repaints it tile by tile; width and height are a tile's</p>"
    )
    overlap: Annotated[int, Whole("Tile overlap", 0, 256, 16, MAX_SIDE)] = 64
    upscaler: Annotated[int | float | str, Choice("Upscaler", numbered=True, among="upscalers")] = (
        "None"
    )
    factor: Annotated[float, Slider("Scale Factor", 1.0, 4.0, 0.05, MAX_FACTOR)] = 2.0
