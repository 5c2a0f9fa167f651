"""Pictures that clients send, as A1111 takes them. Source: spec api.md 7.1, images.md 10."""

from PIL import ImageOps
from PIL.Image import Image

from application.pictures import open_picture, read_infotext
from domain.errors import InvalidRequest


def receive(data: bytes, field: str = "image") -> Image:
    """The picture in these bytes, decoded and the way up it is meant to be seen.

    Colour with one transparent colour becomes RGBA. What it tells of itself as text is in `info`,
    its infotext under `parameters`. Raises `InvalidRequest` naming `field`.
    """
    image = open_picture(data, field)
    try:
        infotext = read_infotext(image)
        image.load()
        texts = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
        if image.mode in ("RGB", "P") and isinstance(image.info.get("transparency"), bytes):
            image = image.convert("RGBA")
        upright = _upright(image)
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise InvalidRequest(field, "Invalid encoded image") from error
    upright.info.clear()
    upright.info.update(texts)
    if infotext is not None:
        upright.info["parameters"] = infotext
    return upright


def in_colour(image: Image) -> Image:
    """RGB or RGBA. Grey of 16 bits keeps its upper 8."""
    if image.mode in ("RGB", "RGBA"):
        return image
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGB")


def _upright(image: Image) -> Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is as good as none
        return image.copy()
