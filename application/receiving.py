"""Pictures that clients send to have them worked on. Source: spec api.md 7.1, images.md 10."""

from PIL.Image import Image

from application.pictures import decoded_picture, eight_bit, open_picture, read_infotext


def receive(data: bytes, field: str = "image") -> Image:
    """The picture in these bytes, as `decoded_picture` has it.

    What it tells of itself as text is in its `info`, its infotext under `parameters`. Raises
    `InvalidRequest` naming `field`.
    """
    opened = open_picture(data, field)
    infotext = read_infotext(opened)
    texts = {str(key): text for key, text in opened.info.items() if isinstance(text, str)}
    image = decoded_picture(data, field).copy()
    image.info.clear()
    image.info.update(texts)
    if infotext is not None:
        image.info["parameters"] = infotext
    return image


def in_colour(image: Image) -> Image:
    """RGB or RGBA. Grey of 16 bits keeps its upper 8."""
    return image if image.mode in ("RGB", "RGBA") else eight_bit(image).convert("RGB")
