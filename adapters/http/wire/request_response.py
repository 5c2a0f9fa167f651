"""Between Falcon's request and response and the values resources work with."""

from collections.abc import Callable

import falcon

from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import to_json


class Absent(Exception):
    """Something the request had to bring or to name is not there. The text is A1111's."""


def json_body(req: falcon.Request) -> object:
    """The body as a JSON value, None without one. Raises `wire.Refused`, `wire.Unreadable`."""
    return wire.read_json(req.bounded_stream.read(), req.content_type)


def query_flag(req: falcon.Request, name: str) -> bool:
    """A boolean of the query string, false when absent. Raises `wire.Refused`."""
    text = query_text(req, name)
    return False if text is None else wire.as_flag(text, ("query", name))


def query_text(req: falcon.Request, name: str) -> str | None:
    """A member of the query string; of several with that name the last."""
    value = req.params.get(name)
    return value[-1] if isinstance(value, list) else value


def query_count(req: falcon.Request, name: str) -> int | None:
    """A whole number of the query string, from 0; None when absent. Raises `wire.Refused`."""
    text = query_text(req, name)
    return None if text is None else wire.as_count(text, ("query", name))


def login(req: falcon.Request) -> str | None:
    """The name of who calls; None where the server asks nobody."""
    return req.context.get("user")


def abandoned(req: falcon.Request) -> Callable[[], bool]:
    """Tells whether the client has gone away.

    It never has where the server cannot see it, or where the client said that its job is to go
    on without it: `X-Keep-Job: true`.
    """
    keep = req.get_header("X-Keep-Job")
    if keep is not None and wire.as_flag(keep, ("header", "X-Keep-Job")):
        return lambda: False
    return req.env.get("waitress.client_disconnected", lambda: False)


def send_json(resp: falcon.Response, value: object) -> None:
    """Send `value` as JSON."""
    resp.data = to_json(value)
    resp.content_type = falcon.MEDIA_JSON
