"""Routes for extras: upscaling and face restoration of pictures. Source: spec api.md 12.1."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http import errors
from hexfusion.adapters.http.resources.async_replies import JobRoute, fetching
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import LongText, Texts, json_chunks, picture_chunks
from hexfusion.application.extras.extras import KIND, Extras
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.large_texts import digested
from hexfusion.application.jobs.orders import Order
from hexfusion.application.pictures.base64_pictures import FetchFor, picture_bytes
from hexfusion.domain.extras import ExtrasRequest

_PICTURE = Meta(description="The picture, in base64, as a data URI, or its http(s) address.")


class PrepareExtras(Protocol):
    """Validates a request; returns a function that does the work of its job."""

    def prepare(
        self, request: ExtrasRequest, pictures: Sequence[bytes], field: str = ...
    ) -> Callable[[Job], Extras]: ...


class ExtrasSingleImageRequest(ExtrasRequest, frozen=True, kw_only=True):
    """Upscaling and face restoration of one picture."""

    image: Annotated[str, _PICTURE] = ""


class FileData(msgspec.Struct, frozen=True, kw_only=True):
    """One of the pictures of a batch."""

    data: Annotated[str, _PICTURE]
    name: Annotated[str, Meta(description="Without effect, as in A1111, but it must be there.")]


class ExtrasBatchImagesRequest(ExtrasRequest, frozen=True, kw_only=True):
    """Upscaling and face restoration of several pictures with the same settings."""

    imageList: Annotated[list[FileData], Meta(description="The pictures.")]


class ExtrasSingleImageResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The picture, and a description of the operations as HTML."""

    html_info: str
    image: Annotated[str, Meta(description="In base64, without a prefix.")]


class ExtrasBatchImagesResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures, and a description of the operations on the last one as HTML."""

    html_info: str
    images: Annotated[list[str], Meta(description="In base64, without a prefix.")]


class SingleImage(JobRoute):
    """`POST /sdapi/v1/extra-single-image`"""

    def __init__(self, extras: PrepareExtras, board: JobBoard, fetch: FetchFor) -> None:
        super().__init__(board)
        self._extras = extras
        self._fetch = fetch

    def order(self, body: object, req: falcon.Request | None) -> Order[Extras]:
        request = wire.as_struct(body, ExtrasSingleImageRequest, nulls=False)
        self.check_room(None, req)
        picture = picture_bytes(request.image, "image", fetching(self._fetch, req))
        fields = _fields(request)
        request = msgspec.structs.replace(request, image="")  # it must not wait with the job
        return _order(fields, self._extras.prepare(request, [picture]), one_chunks)


class BatchImages(JobRoute):
    """`POST /sdapi/v1/extra-batch-images`"""

    def __init__(self, extras: PrepareExtras, board: JobBoard, fetch: FetchFor) -> None:
        super().__init__(board)
        self._extras = extras
        self._fetch = fetch

    def order(self, body: object, req: falcon.Request | None) -> Order[Extras]:
        request = wire.as_struct(body, ExtrasBatchImagesRequest, nulls=False)
        self.check_room(None, req)
        fetch = fetching(self._fetch, req)
        given = [picture_bytes(each.data, "imageList", fetch) for each in request.imageList]
        fields = _fields(request)
        request = msgspec.structs.replace(request, imageList=[])  # see above
        return _order(fields, self._extras.prepare(request, given, "imageList"), all_chunks)


def _fields(request: ExtrasRequest) -> dict[str, object]:
    return {
        name: digested(msgspec.to_builtins(getattr(request, name)))
        for name in request.__struct_fields__
    }


def _order(
    fields: dict[str, object],
    make: Callable[[Job], Extras],
    encode: Callable[[Extras], Iterator[bytes]],
) -> Order[Extras]:
    return Order(KIND, None, fields, make=make, encode=encode, explain=errors.explain)


def one_chunks(result: Extras) -> Iterator[bytes]:
    """The reply with the only picture as JSON in chunks. Raises as `all_chunks`."""
    (picture,) = _pictures(result)
    return json_chunks(
        ExtrasSingleImageResponse,
        result.encoding.most,
        "image",
        html_info=result.html_info,
        image=LongText(picture),
    )


def all_chunks(result: Extras) -> Iterator[bytes]:
    """The reply with all pictures as JSON in chunks; one picture at a time is in memory.

    Raises `ReplyTooLarge`, `Unencodable`, `SpoolError`.
    """
    return json_chunks(
        ExtrasBatchImagesResponse,
        result.encoding.most,
        "imageList",
        html_info=result.html_info,
        images=Texts(_pictures(result)),
    )


def _pictures(result: Extras) -> Iterator[Iterator[bytes]]:
    how = result.encoding
    for each in result.pictures:
        yield picture_chunks(each.image, how.format, quality=how.quality, embed=how.embed)
