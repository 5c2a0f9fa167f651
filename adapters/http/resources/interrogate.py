"""Route for interrogation: captions and tags for a picture. Source: spec api.md 12.3."""

from collections.abc import Callable
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http import errors
from hexfusion.adapters.http.resources.async_replies import JobRoute, fetching
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import to_json
from hexfusion.adapters.http.wire.request_response import Absent
from hexfusion.application.describing.interrogate import KIND
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.large_texts import digested
from hexfusion.application.jobs.orders import Order
from hexfusion.application.pictures.base64_pictures import FetchFor, picture_bytes
from hexfusion.domain.interrogation import MODELS


class PrepareInterrogation(Protocol):
    """Validates a request; returns a function that does the work of its job."""

    def prepare(self, model: str, picture: bytes) -> Callable[[Job], str]: ...


class InterrogateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to describe."""

    image: Annotated[
        str, Meta(description="The picture, in base64, as a data URI, or its http(s) address.")
    ] = ""
    model: Annotated[
        str, Meta(description="`clip` for a sentence and terms that fit, or `deepdanbooru`: tags.")
    ] = "clip"


class CaptionResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a picture."""

    caption: Annotated[
        str,
        Meta(
            description="By `clip` it ends in `<error>` where words could not be found, and is "
            "`unknown picture` where the starter's captioner sees nothing it knows."
        ),
    ]


class Interrogate(JobRoute):
    """`POST /sdapi/v1/interrogate`"""

    def __init__(self, use: PrepareInterrogation, board: JobBoard, fetch: FetchFor) -> None:
        super().__init__(board)
        self._use = use
        self._fetch = fetch

    def order(self, body: object, req: falcon.Request | None) -> Order[str]:
        """Answers 404 in A1111's words for an unknown model."""
        request = wire.as_struct(body, InterrogateRequest, nulls=False)
        if request.model not in MODELS:  # before an address is fetched
            raise Absent("Model not found")
        self.check_room(None, req)
        picture = picture_bytes(request.image, "image", fetching(self._fetch, req))
        return Order(
            KIND,
            None,
            {name: digested(getattr(request, name)) for name in request.__struct_fields__},
            make=self._use.prepare(request.model, picture),
            encode=lambda words: [to_json(CaptionResponse(caption=words))],
            explain=errors.explain,
        )
