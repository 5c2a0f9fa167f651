"""Routes about the server: memory, flags, version, system report, ping.

Source: spec api.md 1.1, 14, 16.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import query_flag, send_json
from hexfusion.application.system.sysinfo import SysinfoReport


class MemoryResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in bytes."""

    ram: Annotated[dict[str, Any], Meta(description="free, used by this process, total.")]
    cuda: Annotated[
        dict[str, Any],
        Meta(description='By kind of use; `{"error": "unavailable"}` without a device of its own.'),
    ]


class AboutResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Name and version of the server."""

    app: str
    version: str
    a1111: Annotated[str, Meta(description="The version of A1111 that it behaves like.")]


class Reading:
    """A GET route that sends the result of a use-case as JSON."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, self._read())


class Sysinfo:
    """`GET /internal/sysinfo`, and with `attachment` `/internal/sysinfo-download`"""

    def __init__(self, read: Callable[[], SysinfoReport], *, attachment: bool = False) -> None:
        self._read = read
        self._attachment = attachment

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        attachment = self._attachment or query_flag(req, "attachment")
        report = self._read()
        kind = "attachment" if attachment else "inline"
        resp.data = report.text.encode()
        resp.content_type = "text/plain; charset=utf-8"
        resp.set_header("Content-Disposition", f'{kind}; filename="{report.file}"')


class Ping:
    """`GET /internal/ping`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, {})
