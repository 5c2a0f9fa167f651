"""Routes for generation, txt2img and img2img. Source: spec api.md 5 and 6."""

from collections.abc import Collection, Iterator
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http import errors
from hexfusion.adapters.http.resources.async_replies import JobRoute, fetching
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import Texts, info_text, json_chunks, picture_chunks
from hexfusion.adapters.http.wire.request_response import Absent
from hexfusion.application.generation.img2img import KIND as IMG2IMG
from hexfusion.application.generation.txt2img import KIND as TXT2IMG
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Abandoned
from hexfusion.application.jobs.large_texts import digested
from hexfusion.application.jobs.orders import Order, PreparedJob
from hexfusion.application.pictures.base64_pictures import Fetch, FetchFor, picture_bytes
from hexfusion.application.pictures.receiving import Received, receive_all
from hexfusion.application.results import Generated
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img


class PrepareTxt2Img(Protocol):
    """For Python callers in one go; for routes in two, with what can be wrong in the first."""

    def __call__(self, request: Txt2Img, *, abandoned: Abandoned = ...) -> Generated: ...

    def prepare(
        self, request: Txt2Img, *, given: Collection[str] | None = ...
    ) -> PreparedJob[Generated]: ...


class PrepareImg2Img(Protocol):
    """The same, of a request and its pictures."""

    def __call__(
        self, request: Img2Img, pictures: InitPictures, *, abandoned: Abandoned = ...
    ) -> Generated: ...

    def prepare(
        self, request: Img2Img, pictures: InitPictures, *, given: Collection[str] | None = ...
    ) -> PreparedJob[Generated]: ...


class TextToImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to txt2img."""

    images: Annotated[list[str], Meta(description="Pictures in base64, without a prefix.")]
    parameters: Annotated[Txt2Img, Meta(description="The request as it was understood.")]
    info: Annotated[
        str, Meta(description="JSON text: seeds, prompts and infotext of every picture.")
    ]


class ImageToImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to img2img."""

    images: Annotated[
        list[str],
        Meta(
            description="Pictures in base64, without a prefix; masks behind theirs, if asked for."
        ),
    ]
    parameters: Annotated[
        Img2Img,
        Meta(description="The request as it was understood; pictures if include_init_images."),
    ]
    info: Annotated[
        str, Meta(description="JSON text: seeds, prompts and infotext of every picture.")
    ]


class TextToImage(JobRoute):
    """`POST /sdapi/v1/txt2img`"""

    def __init__(self, txt2img: PrepareTxt2Img, board: JobBoard) -> None:
        super().__init__(board)
        self._txt2img = txt2img

    def order(self, body: object, req: falcon.Request | None) -> Order[Generated]:
        request = wire.as_struct(body, Txt2Img)
        given = wire.given_fields(body, Txt2Img)
        make = self._txt2img.prepare(request, given=given)
        fields = _fields(request, given)
        return _order(TXT2IMG, request, fields, make, TextToImageResponse)


class ImageToImage(JobRoute):
    """`POST /sdapi/v1/img2img`"""

    def __init__(self, img2img: PrepareImg2Img, board: JobBoard, fetch: FetchFor) -> None:
        super().__init__(board)
        self._img2img = img2img
        self._fetch = fetch

    def order(self, body: object, req: falcon.Request | None) -> Order[Generated]:
        request = wire.as_struct(body, Img2Img)
        given = wire.given_fields(body, Img2Img)
        self.check_room(request.force_task_id, req)
        pictures = self._pictures(request, fetching(self._fetch, req))
        fields = _fields(request, given)
        if not request.include_init_images:  # else they are echoed
            request = msgspec.structs.replace(request, init_images=None, mask=None)
        make = self._img2img.prepare(request, pictures, given=given)
        return _order(IMG2IMG, request, fields, make, ImageToImageResponse)

    def _pictures(self, request: Img2Img, fetch: Fetch) -> InitPictures:
        """Read the headers of init images and mask.

        Raises `Absent` without init images (spec api.md 6), and what `picture_bytes` raises.
        """
        if request.init_images is None:
            raise Absent("Init image not found")
        files = [_bytes(each, "init_images", fetch) for each in request.init_images]
        images = receive_all(files, "init_images")
        if request.mask is None:
            return InitPictures(images)
        return InitPictures(images, Received(_bytes(request.mask, "mask", fetch), "mask"))


def _bytes(text: object, field: str, fetch: Fetch) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(field, "must hold base64 texts")
    return picture_bytes(text, field, fetch)


def _fields(request: AnyRequest, given: Collection[str]) -> dict[str, object]:
    """What makes two requests equal."""
    fields = {name: digested(getattr(request, name)) for name in request.__struct_fields__}
    if request.infotext:  # it fills the fields that are not given
        fields["(fields given)"] = sorted(given)
    return fields


def _order(
    kind: str,
    request: AnyRequest,
    fields: dict[str, object],
    make: PreparedJob[Generated],
    response: type[msgspec.Struct],
) -> Order[Generated]:
    def encode(result: Generated) -> Iterator[bytes]:
        return reply_chunks(result, response)

    return Order(
        kind,
        request.force_task_id or None,
        fields,
        make=make,
        encode=encode,
        explain=errors.explain,
        models=make.models,
    )


def reply_chunks(result: Generated, response: type[msgspec.Struct]) -> Iterator[bytes]:
    """The reply as JSON in chunks; one picture at a time is in memory.

    Raises `ReplyTooLarge`, `Unencodable`, `SpoolError`.
    """
    return json_chunks(
        response,
        result.encoding.most,
        "send_images",
        images=Texts(_pictures(result) if result.request.send_images else []),
        parameters=result.request,
        info=info_text(result.info),
    )


def _pictures(result: Generated) -> Iterator[Iterator[bytes]]:
    how = result.encoding
    for each in result.pictures:
        yield picture_chunks(
            each.image, how.format, quality=how.quality, infotext=each.infotext, embed=how.embed
        )
