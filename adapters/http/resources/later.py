"""Routes of A1111 whose engine is not built yet: what is sent is checked as ever, then 501.

Source: spec api.md 6, 12, 15.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import falcon
import msgspec
from msgspec import Meta

from adapters.http import wire
from adapters.http.exchange import Absent, body_of
from domain.errors import Unsupported
from domain.img2img import Img2Img

_Share = Annotated[float, Meta(ge=0, le=1)]


class ImageToImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation answers."""

    images: Annotated[list[str], Meta(description="Pictures in base64, without a prefix.")]
    parameters: Annotated[Img2Img, Meta(description="The request as it was understood.")]
    info: Annotated[
        str, Meta(description="JSON text: seeds, prompts and infotext of every picture.")
    ]


class ExtrasRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are enlarged and mended."""

    resize_mode: Annotated[Literal[0, 1], Meta(description="0: by a factor, 1: to a size.")] = 0
    show_extras_results: Annotated[bool, Meta(description="Without effect, as in A1111.")] = True
    gfpgan_visibility: Annotated[_Share, Meta(description="Share of GFPGAN's faces.")] = 0
    codeformer_visibility: Annotated[_Share, Meta(description="Share of CodeFormer's faces.")] = 0
    codeformer_weight: Annotated[
        _Share, Meta(description="0: CodeFormer changes most, 1: least.")
    ] = 0
    upscaling_resize: Annotated[float, Meta(description="The factor, for mode 0.", gt=0)] = 2
    upscaling_resize_w: Annotated[int, Meta(description="Width, for mode 1.", ge=1)] = 512
    upscaling_resize_h: Annotated[int, Meta(description="Height, for mode 1.", ge=1)] = 512
    upscaling_crop: Annotated[
        bool, Meta(description="Crop to that size what has another shape, for mode 1.")
    ] = True
    upscaler_1: Annotated[str, Meta(description="See /upscalers.")] = "None"
    upscaler_2: Annotated[str, Meta(description="Another, mixed in.")] = "None"
    extras_upscaler_2_visibility: Annotated[_Share, Meta(description="Share of the other.")] = 0
    upscale_first: Annotated[bool, Meta(description="Without effect, as in A1111.")] = False


class ExtrasSingleImageRequest(ExtrasRequest, frozen=True, kw_only=True):
    """How a picture is enlarged and mended."""

    image: Annotated[str, Meta(description="The picture, base64 or a data URI.")] = ""


class FileData(msgspec.Struct, frozen=True, kw_only=True):
    """A picture among others."""

    data: Annotated[str, Meta(description="The picture, base64 or a data URI.")]
    name: Annotated[str, Meta(description="Without effect, as in A1111, but it must be there.")]


class ExtrasBatchImagesRequest(ExtrasRequest, frozen=True, kw_only=True):
    """How pictures are enlarged and mended, all the same way."""

    imageList: Annotated[list[FileData], Meta(description="The pictures.")]


class ExtrasSingleImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The picture, and what was done to it as HTML."""

    html_info: str
    image: str


class ExtrasBatchImagesResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures, and what was done to the last as HTML."""

    html_info: str
    images: list[str]


class InterrogateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to find words for."""

    image: Annotated[str, Meta(description="The picture, base64 or a data URI.")] = ""
    model: Annotated[str, Meta(description="clip or deepdanbooru.")] = "clip"


class CaptionResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Words for a picture."""

    caption: str


class CreateResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    info: str


class TrainResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    info: str


class NotYet:
    """A POST route that checks the body with `read`, then says 501."""

    def __init__(self, what: str, read: Callable[[object], object]) -> None:
        self._what = what
        self._read = read

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._read(body_of(req))
        raise Unsupported(self._what, "not available yet")


def read_img2img(body: object) -> Img2Img:
    """Raises `wire.Refused`, and `Absent` where there is no picture (spec api.md 6)."""
    request = wire.as_struct(body, Img2Img)
    if request.init_images is None:
        raise Absent("Init image not found")
    return request


def read_extras(body: object) -> ExtrasSingleImageRequest:
    """Raises `wire.Refused` (spec api.md 12.1)."""
    return wire.as_struct(body, ExtrasSingleImageRequest, nulls=False)


def read_extras_batch(body: object) -> ExtrasBatchImagesRequest:
    """Raises `wire.Refused` (spec api.md 12.1)."""
    return wire.as_struct(body, ExtrasBatchImagesRequest, nulls=False)


def read_interrogate(body: object) -> InterrogateRequest:
    """Raises `wire.Refused`, and `Absent` for an unknown model (spec api.md 12.3)."""
    request = wire.as_struct(body, InterrogateRequest, nulls=False)
    if request.model not in ("clip", "deepdanbooru"):
        raise Absent("Model not found")
    return request
