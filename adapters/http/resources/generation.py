"""Making pictures. Source: spec api.md 5."""

from collections.abc import Callable, Collection
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from adapters.http import errors, wire
from adapters.http.delivery import deliver
from adapters.http.encoding import info_text, picture_text, to_json
from adapters.http.exchange import body_of
from application.generate import KIND, Generated
from application.job_board import JobBoard
from application.jobs import Abandoned, Job
from application.orders import Order
from domain.generation import Txt2Img


class GenerateTxt2Img(Protocol):
    """For Python callers in one go; for routes in two, with what can be wrong in the first."""

    def __call__(self, request: Txt2Img, *, abandoned: Abandoned = ...) -> Generated: ...

    def prepare(
        self, request: Txt2Img, *, given: Collection[str] | None = ...
    ) -> Callable[[Job], Generated]: ...


class TextToImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a generation answers."""

    images: Annotated[list[str], Meta(description="Pictures in base64, without a prefix.")]
    parameters: Annotated[Txt2Img, Meta(description="The request as it was understood.")]
    info: Annotated[
        str, Meta(description="JSON text: seeds, prompts and infotext of every picture.")
    ]


class TextToImage:
    """`POST /sdapi/v1/txt2img`"""

    def __init__(self, txt2img: GenerateTxt2Img, board: JobBoard) -> None:
        self._txt2img = txt2img
        self._board = board

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = body_of(req)
        request = wire.as_struct(body, Txt2Img)
        given = wire.given_fields(body, Txt2Img)
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        if request.infotext:  # it fills what is not given
            fields["(fields given)"] = sorted(given)
        order = Order(
            KIND,
            request.force_task_id or None,
            fields,
            make=self._txt2img.prepare(request, given=given),
            encode=_encode,
            explain=errors.explain,
        )
        deliver(req, resp, self._board, order)


def _encode(result: Generated) -> bytes:
    return to_json(
        TextToImageResponse(
            images=_pictures(result) if result.request.send_images else [],
            parameters=result.request,
            info=info_text(result.info),
        )
    )


def _pictures(result: Generated) -> list[str]:
    how = result.encoding
    return [
        picture_text(
            each.image, how.format, quality=how.quality, infotext=each.infotext, embed=how.embed
        )
        for each in result.pictures
    ]
