"""Health routes for probes: liveness and readiness."""

from collections.abc import Callable
from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.application.system.health import Health


class LiveResponse(msgspec.Struct, frozen=True):
    """The process is alive."""

    live: Annotated[bool, Meta(description="Always true.")] = True


class Live:
    """`GET /health/live`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, LiveResponse())


class Ready:
    """`GET /health/ready`: 200 if jobs are accepted, else 503 with the reason."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        health = self._health()
        send_json(resp, health)
        resp.status = falcon.HTTP_200 if health.ready else falcon.HTTP_503
