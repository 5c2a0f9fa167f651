"""Access log (`--api-log`): one JSON object per line for each request.

Contains more than A1111's line (spec api.md 2), but no query, header or body, and so no secrets. A
refused request's line has the reason.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import falcon

from hexfusion.adapters.http.access.refusal_log import reason_of, task_of


class AccessLog:
    """Middleware; must be the first, so that it sees every reply as it is sent."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.time
    ) -> None:
        """`write` is called with each line, without line break; `clock` returns seconds since
        1970."""
        self._write = write
        self._clock = clock

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["arrived"] = self._clock(), time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        # Missing if Falcon refuses the method.
        wall, started = req.context.get("arrived") or (self._clock(), time.perf_counter())
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
            "method": req.method,
            "path": req.path,
            "status": resp.status_code,
            "ms": round((time.perf_counter() - started) * 1000, 1),
            "client": req.remote_addr,
            "user": req.context.get("user"),
            "bytes": _length(resp),
            "task": task_of(req, resp),
        }
        if resp.status_code >= 400:
            line["reason"] = reason_of(req, resp)
        self._write(json.dumps(line))


def _length(resp: falcon.Response) -> int | None:
    """Length of the body in bytes; None if it is streamed, as events are."""
    if resp.stream is not None:
        return resp.content_length  # type: ignore[return-value]
    return len(resp.render_body() or b"")
