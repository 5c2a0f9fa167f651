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
    from hexfusion.bootstrap import build
    from hexfusion.domain.generation import Txt2Img
    from hexfusion.domain.img2img import Img2Img

__all__ = ["Img2Img", "Txt2Img", "build"]

_ORIGINS = {
    "Img2Img": "hexfusion.domain.img2img",
    "Txt2Img": "hexfusion.domain.generation",
    "build": "hexfusion.bootstrap",
}


def __getattr__(name: str) -> object:
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ORIGINS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ORIGINS})
