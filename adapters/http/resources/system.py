"""The machine and the process. Source: spec api.md 1.1, 14, 16."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import falcon
import msgspec
from msgspec import Meta

from adapters.http.exchange import answer


class MemoryResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in bytes."""

    ram: Annotated[dict[str, Any], Meta(description="free, used by this process, total.")]
    cuda: Annotated[
        dict[str, Any],
        Meta(description='By kind of use; `{"error": "unavailable"}` without a device of its own.'),
    ]


class Reading:
    """A GET route that shows what a use-case returns, as it is."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(resp, self._read())


class Ping:
    """`GET /internal/ping`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(resp, {})
