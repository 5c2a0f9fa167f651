"""POST routes that run an action without arguments or result. Source: spec api.md 15."""

from collections.abc import Callable, Mapping

import falcon

from hexfusion.adapters.http.wire.request_response import party, send_json


class Refresh:
    """A POST route that refreshes a file list and answers null. A body is ignored.

    `refresh` is called with the caller's party, as the action of `Act` is.
    """

    def __init__(self, refresh: Callable[[str | None], None]) -> None:
        self._refresh = refresh

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._refresh(party(req))
        send_json(resp, None)


class Act:
    """A POST route that runs an action and answers `{}`. A body is ignored."""

    def __init__(self, act: Callable[[str | None], object]) -> None:
        self._act = act

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._act(party(req))
        send_json(resp, NOTHING)


NOTHING: Mapping[str, object] = {}
