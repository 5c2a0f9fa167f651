"""Routes of A1111 that are not implemented yet: the body is validated, then 501 is sent.

Source: spec api.md 15.
"""

from collections.abc import Callable

import falcon
import msgspec

from hexfusion.adapters.http.wire.request_response import json_body
from hexfusion.domain.errors import Unsupported


class CreateResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The result as text."""

    info: str


class TrainResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The result as text."""

    info: str


class NotYet:
    """A POST route that validates the body with `read`, then answers 501."""

    def __init__(self, what: str, read: Callable[[object], object]) -> None:
        self._what = what
        self._read = read

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._read(json_body(req))
        raise Unsupported(self._what, "not available yet")
