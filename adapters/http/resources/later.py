"""Routes of A1111 whose engine is not built yet: what is sent is checked as ever, then 501.

Source: spec api.md 6, 12, 15.
"""

from collections.abc import Callable
from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from adapters.http import wire
from adapters.http.exchange import Absent, body_of
from domain.errors import Unsupported


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


def read_interrogate(body: object) -> InterrogateRequest:
    """Raises `wire.Refused`, and `Absent` for an unknown model (spec api.md 12.3)."""
    request = wire.as_struct(body, InterrogateRequest, nulls=False)
    if request.model not in ("clip", "deepdanbooru"):
        raise Absent("Model not found")
    return request
