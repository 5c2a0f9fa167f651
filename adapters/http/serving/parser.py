"""Reads requests, and of each no more than is worth reading."""

from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, RequestEntityTooLarge

#: Longest line that announces a chunk of a body, and longest trailer behind it, in bytes.
_CHUNK_LINE = 1024
_TRAILER = 8192
#: A chunked body is read in pieces of this many bytes: waitress copies what is left of a piece for
#: each chunk in it, which for a body of tiny chunks is the square.
_PIECE = 4096


class RequestTimeout(BadRequest):
    """The request has not come in time."""

    code = 408
    reason = "Request Timeout"


class Parser(HTTPRequestParser):
    """Reads one request. Once its header is complete, it asks how long its body may be.

    Of a longer one nothing is kept: the request is complete at once (`unread`), so that it is
    answered while the client is still sending.
    """

    #: The bound, in bytes, that the body was too long for.
    unread: int | None = None
    expect_continue = False

    def __init__(
        self,
        adj: Any,
        *,
        bound: Callable[["Parser"], int] | None,
        max_body: int,
        deafen: Callable[[], None],
    ) -> None:
        """`bound` returns the longest body, in bytes, for the request of this parser; it may fill
        `judged`. Without it `max_body` is the bound, and longer bodies are answered 413 here.

        `deafen` is called when nothing that the client sends from now on is of use.
        """
        super().__init__(adj)
        self._ask = bound
        self._bound = max_body
        self._deafen = deafen
        self.judged: dict[str, Any] = {}
        """What is to be added to the WSGI environment."""

    def parse_header(self, header_plus: bytes) -> None:
        """Also refuses requests whose body length is ambiguous (request smuggling), and takes the
        host from the target where that has one.

        Ambiguous are both Content-Length and chunked encoding, and Transfer-Encoding in HTTP/1.0: a
        proxy may have used the other length, and passed what would be the next request here as part
        of the body (RFC 9112, 6.1 and 11.2). A target with a host ("absolute-form") replaces that
        of the header (RFC 9112, 3.2.2). Raises `ParsingError`.
        """
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of 5000 digits, a target with half an address
            raise ParsingError("The header is invalid") from error
        told_twice = self.chunked and "CONTENT_LENGTH" in self.headers
        if told_twice or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("The length of the body is ambiguous")
        absolute = self.request_uri[len(self.proxy_scheme) :].startswith("://")
        if absolute and "," not in self.headers.get("HOST", ","):
            self.headers["HOST"] = self.proxy_netloc

    def received(self, data: bytes) -> int:
        in_header = self.body_rcv is None
        if self.chunked and not in_header:
            data = data[:_PIECE]
        consumed: int = super().received(data)
        if self.error is None and self.body_rcv is not None:
            if in_header:
                self._bound = self._ask(self) if self._ask else self._bound
            if max(self.content_length, self.body_bytes_received) > self._bound:
                self._leave_body()
            elif self.chunked and _endless(self.body_rcv):
                self._fail(BadRequest("A chunk is announced at too great length"))
        if self.error is not None:
            self._drop()  # also a length that waitress itself refuses
        if self.error is not None or self.unread is not None:
            self._deafen()
            return len(data)
        return consumed

    def give_up(self) -> None:
        """Complete the request as one that has not come in time."""
        self._fail(RequestTimeout("the request did not come in time"))
        self.empty = False
        self._deafen()

    def _leave_body(self) -> None:
        if self._ask:
            self.unread = self._bound
            self._drop()
        else:
            self._fail(RequestEntityTooLarge(f"at most {self._bound} bytes"))

    def _fail(self, error: BadRequest) -> None:
        self.error = error
        self._drop()

    def _drop(self) -> None:
        """Complete the request without its body. It is not invited by `100 Continue` either."""
        self.close()
        self.body_rcv = None
        self.expect_continue = False
        self.headers_finished = True
        self.completed = True


def _endless(body: Any) -> bool:
    return len(body.control_line) > _CHUNK_LINE or len(body.trailer) > _TRAILER
