"""Reads values from Falcon requests (body, query, login), and writes JSON replies."""

from collections.abc import Callable, Iterator

import falcon

from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import to_json
from hexfusion.application.ports.jobs import Body

#: Largest body that is sent in one piece, in bytes; larger ones are read as they are sent.
_IN_ONE_PIECE = 2**20

MOST_VALUES = "most_values"
"""Where a request's context has the bound of the values in its body."""


class Absent(Exception):
    """Something that the request must contain or name does not exist. The message is A1111's."""


def json_body(req: falcon.Request) -> object:
    """The body as JSON value, None if empty. Raises as `json_of`."""
    return json_of(req.bounded_stream.read(), req)


def json_of(body: bytes, req: falcon.Request) -> object:
    """The body of the request, which was read already, as JSON value, None if empty.

    Raises `wire.Refused`, `wire.Unreadable`, `wire.TooManyValues`.
    """
    most = req.context.get(MOST_VALUES) or wire.MAX_VALUES
    return wire.read_json(body, req.content_type, most)


def query_flag(req: falcon.Request, name: str) -> bool:
    """A boolean query parameter, false if absent. Raises `wire.Refused`."""
    text = query_text(req, name)
    return False if text is None else wire.as_flag(text, ("query", name))


def query_text(req: falcon.Request, name: str) -> str | None:
    """A query parameter, None if absent; of several with the same name the last."""
    value = req.params.get(name)
    return value[-1] if isinstance(value, list) else value


def query_count(req: falcon.Request, name: str) -> int | None:
    """A query parameter that is an integer from 0, None if absent. Raises `wire.Refused`."""
    text = query_text(req, name)
    return None if text is None else wire.as_count(text, ("query", name))


def login(req: falcon.Request) -> str | None:
    """The login of the caller, None if the server requires none."""
    return req.context.get("user")


def party(req: falcon.Request) -> str | None:
    """Who shares slots and places with others: "user NAME", or "address ADDRESS" without logins."""
    return req.context.get("party")


def for_party(
    req: falcon.Request, fetch: Callable[[str, str, str | None], bytes]
) -> Callable[[str, str], bytes]:
    """`fetch` for the party of the caller."""
    return lambda url, field: fetch(url, field, party(req))


def sees_all(req: falcon.Request) -> bool:
    """Whether the caller may see and stop the jobs of all: an administrator by name."""
    return bool(req.context.get("admin"))


def abandoned(req: falcon.Request) -> Callable[[], bool]:
    """A function that tells whether the client has disconnected.

    Always false if the server cannot detect it, and if the client sent `X-Keep-Job: true`, so that
    its job continues without it.
    """
    keep = req.get_header("X-Keep-Job")
    if keep is not None and wire.as_flag(keep, ("header", "X-Keep-Job")):
        return lambda: False
    return req.env.get("waitress.client_disconnected", lambda: False)


def send_json(resp: falcon.Response, value: object) -> None:
    """Set the reply's body to `value` as JSON."""
    resp.data = to_json(value)
    resp.content_type = falcon.MEDIA_JSON


def send_body(resp: falcon.Response, body: Body, before: bytes = b"", after: bytes = b"") -> None:
    """Set the reply's body to JSON that is there already, between two pieces around it."""
    resp.content_type = falcon.MEDIA_JSON
    size = len(before) + body.size + len(after)
    if size <= _IN_ONE_PIECE:
        resp.data = b"".join((before, *body.chunks(), after))
        return

    def pieces() -> Iterator[bytes]:
        if before:
            yield before
        yield from body.chunks()
        if after:
            yield after

    resp.set_stream(pieces(), size)
