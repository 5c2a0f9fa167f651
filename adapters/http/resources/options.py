"""Route that reads and changes options. Source: spec api.md 13."""

from collections.abc import Callable, Mapping

import falcon

from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.request_response import json_body, party, send_json


class Options:
    """`GET` and `POST /sdapi/v1/options`"""

    def __init__(
        self,
        read: Callable[[], Mapping[str, object]],
        change: Callable[[Mapping[str, object], str | None], None],
    ) -> None:
        """`change` is called with the changes and the caller's party."""
        self._read = read
        self._change = change

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, self._read())

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._change(wire.as_object(json_body(req)), party(req))
        send_json(resp, None)
