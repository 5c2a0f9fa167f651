"""Middleware for all routes: timing, body limit, gzip, methods. Source: spec api.md 2."""

import gzip
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import cast

import falcon

from hexfusion.adapters.http.access.gate import OPEN
from hexfusion.adapters.http.errors import TooLarge
from hexfusion.adapters.http.wire.lenient_json import MAX_VALUES
from hexfusion.adapters.http.wire.request_response import MOST_VALUES


class Timing:
    """Sets header `X-Process-Time`: seconds, rounded to four digits."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["started"] = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        started = req.context.get("started")  # absent where Falcon refuses the very method
        if started is not None:
            resp.set_header("X-Process-Time", str(round(time.perf_counter() - started, 4)))


#: Longest body, in bytes, of requests that need none, or are refused.
SMALL_BODY = 8192
#: Key in the WSGI environment of a request whose body was left unread: the bound it is longer than.
UNREAD = "hexfusion.unread"


class BodyLimit:
    """Refuses bodies that are too long, before they are read. Must come after the `Gate`."""

    def __init__(self, limit: int, values: int = MAX_VALUES) -> None:
        """`limit` is in bytes; `values` bounds the values in a body, for those who decode it."""
        self._limit = limit
        self._values = values

    def bound(self, method: str, template: str) -> int:
        """The longest body, in bytes, of requests with this method to this route.

        Only POST to a route that asks for credentials has a use for a long one.
        """
        return self._limit if method == "POST" and template not in OPEN else SMALL_BODY

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Raises `TooLarge`."""
        req.context[MOST_VALUES] = self._values
        unread = req.env.get(UNREAD)
        if unread is not None:
            raise TooLarge(unread)
        bound = min(self._limit, self.bound(req.method, req.uri_template or ""))
        if (req.content_length or 0) > bound:
            raise TooLarge(bound)


class Gzip:
    """Compresses bodies of at least `minimum` bytes, for clients that accept gzip.

    Base64 of PNGs shrinks by a quarter at any level, so the fastest is used.
    """

    def __init__(self, minimum: int = 1000) -> None:
        self._minimum = minimum

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        stream, length = resp.stream, resp.content_length  # of a stream with a length
        size = int(length or 0) if stream is not None else len(resp.data or b"")
        if size < self._minimum:
            return
        resp.append_header("Vary", "Accept-Encoding")
        if _accepts_gzip(req.get_header("Accept-Encoding", default="")):
            if resp.data is not None:
                resp.data = gzip.compress(resp.data, compresslevel=1, mtime=0)
            else:
                resp.stream, resp.content_length = (
                    _compressed(cast("Iterable[bytes]", stream)),
                    None,
                )
            resp.set_header("Content-Encoding", "gzip")


def _compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A gzip file (RFC 1952), as its content comes."""
    compressor = zlib.compressobj(1, wbits=31)
    for chunk in chunks:
        if compressed := compressor.compress(chunk):
            yield compressed
    yield compressor.flush()


_METHODS = ("GET", "POST", "DELETE")


class OnlyDeclaredMethods:
    """Answers OPTIONS with 405, as A1111 without CORS; Falcon would answer it on every route."""

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        if req.method == "OPTIONS" and not hasattr(resource, "on_options"):
            methods = [name for name in _METHODS if hasattr(resource, f"on_{name.lower()}")]
            raise falcon.HTTPMethodNotAllowed(methods)


def _accepts_gzip(header: str) -> bool:
    for coding in header.lower().split(","):
        name, _, weight = coding.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" if weight else True
    return False
