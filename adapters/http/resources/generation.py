"""Making pictures. Source: spec api.md 5."""

from collections.abc import Collection
from typing import Annotated, Protocol
from urllib.parse import quote

import falcon
import msgspec
from msgspec import Meta

from adapters.http import wire
from adapters.http.encoding import info_text, picture_text
from adapters.http.exchange import abandoned, answer, body_of
from application.generate import Generated
from application.jobs import Abandoned
from domain.generation import Txt2Img


class GenerateTxt2Img(Protocol):
    def __call__(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None = ...,
        abandoned: Abandoned = ...,
    ) -> Generated: ...


class TextToImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation answers."""

    images: Annotated[list[str], Meta(description="Pictures in base64, without a prefix.")]
    parameters: Annotated[Txt2Img, Meta(description="The request as it was understood.")]
    info: Annotated[
        str, Meta(description="JSON text: seeds, prompts and infotext of every picture.")
    ]


class TextToImage:
    """`POST /sdapi/v1/txt2img`"""

    def __init__(self, txt2img: GenerateTxt2Img) -> None:
        self._txt2img = txt2img

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = body_of(req)
        request = wire.as_struct(body, Txt2Img)
        given = wire.given_fields(body, Txt2Img)
        result = self._txt2img(request, given=given, abandoned=abandoned(req))
        resp.set_header("X-Task-Id", _header_safe(result.job_id))
        answer(
            resp,
            TextToImageResponse(
                images=_pictures(result) if result.request.send_images else [],
                parameters=result.request,
                info=info_text(result.info),
            ),
        )


def _pictures(result: Generated) -> list[str]:
    how = result.encoding
    return [
        picture_text(
            each.image, how.format, quality=how.quality, infotext=each.infotext, embed=how.embed
        )
        for each in result.pictures
    ]


def _header_safe(id: str) -> str:
    """A client may name its job as it likes; a header may not hold a line break."""
    return id if id.isascii() and id.isprintable() else quote(id)
