"""Opens the font of captions: a TrueType file of the operator, or the bundled one."""

import os
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

from hexfusion.adapters.storage.folders import open_file
from hexfusion.domain.errors import InvalidRequest

NAME = "Roboto-Regular.ttf"
ENDINGS = (".ttf", ".otf", ".ttc")


def open_font(file: str, size: int) -> FreeTypeFont:
    """The font in `file` (option `font`), or the bundled font if it is empty; `size` is in pixels.

    Raises `InvalidRequest("font", ...)` if the file is no TrueType font.
    """
    if not file:
        with as_file(files("hexfusion.adapters.storage") / "assets" / NAME) as shipped:
            return ImageFont.truetype(shipped, size)
    try:
        if not file.lower().endswith(ENDINGS):
            raise OSError
        if os.path.lexists(file):
            with open_file(Path(file)) as opened:  # a pipe would keep FreeType waiting
                return ImageFont.truetype(BytesIO(opened.read()), size)
        return ImageFont.truetype(file, size)  # Pillow looks for it where the system has fonts
    except OSError as error:
        raise InvalidRequest("font", f"{file!r} is no TrueType file") from error
