"""Requests with scripts, for their tests."""

from PIL import Image

from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.results import Generated
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from tests.application.worlds import World, world

PICTURE = Image.effect_noise((64, 64), 80).convert("RGB")
PLAIN = {"prompt": "a cat", "seed": 7, "steps": 2, "width": 64, "height": 64}


def of_text(script: str, *arguments: object, **fields) -> Txt2Img:
    return Txt2Img(**{**PLAIN, "script_name": script, "script_args": list(arguments), **fields})


def of_picture(script: str, *arguments: object, **fields) -> Img2Img:
    return Img2Img(**{**PLAIN, "script_name": script, "script_args": list(arguments), **fields})


def made(request: Txt2Img | Img2Img, it: World | None = None, *, mask=None) -> Generated:
    it = it or world()
    if isinstance(request, Txt2Img):
        return it.txt2img(request)
    return it.img2img(request, InitPictures([PICTURE], mask))


def names(result: Generated) -> list[str]:
    """Of what was saved, without folders."""
    return [path.rsplit("/", 1)[1] for path in result.files]
