"""Hexfusion: Stable Diffusion as a server that speaks A1111's REST API, and as a library.

    import hexfusion

    studio = hexfusion.build(data_dir="data")
    made = studio.txt2img(hexfusion.Txt2Img(prompt="a red circle on a blue background"))
    made.pictures[0].save("picture.png")

The names below are loaded at their first use: whoever imports one module of the package, such as
`hexfusion.domain.generation`, loads no other for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexfusion.application.results import Generated, Picture
    from hexfusion.application.studio import Studio
    from hexfusion.bootstrap import build
    from hexfusion.domain.errors import HexfusionError
    from hexfusion.domain.extras import ExtrasRequest
    from hexfusion.domain.generation import Txt2Img
    from hexfusion.domain.img2img import Img2Img
    from hexfusion.domain.picture_lists import PictureLists

__all__ = [
    "ExtrasRequest",
    "Generated",
    "HexfusionError",
    "Img2Img",
    "Picture",
    "PictureLists",
    "Studio",
    "Txt2Img",
    "build",
]

_ORIGINS = {
    "ExtrasRequest": "hexfusion.domain.extras",
    "Generated": "hexfusion.application.results",
    "HexfusionError": "hexfusion.domain.errors",
    "Img2Img": "hexfusion.domain.img2img",
    "Picture": "hexfusion.application.results",
    "PictureLists": "hexfusion.domain.picture_lists",
    "Studio": "hexfusion.application.studio",
    "Txt2Img": "hexfusion.domain.generation",
    "build": "hexfusion.bootstrap",
}


if not TYPE_CHECKING:  # to a type checker a name that is not above does not exist

    def __getattr__(name: str) -> object:
        if name not in _ORIGINS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ORIGINS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ORIGINS})
