"""Middleware for all routes: timing, body limit, gzip, methods. Source: spec api.md 2."""

import gzip
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import cast

import falcon

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


class BodyLimit:
    """Refuses bodies whose Content-Length exceeds `limit` bytes, before they are read.

    `values` bounds the values in a body, for those who decode it.
    """

    def __init__(self, limit: int, values: int = MAX_VALUES) -> None:
        self._limit = limit
        self._values = values

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context[MOST_VALUES] = self._values
        if (req.content_length or 0) > self._limit:
            raise TooLarge(self._limit)


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
