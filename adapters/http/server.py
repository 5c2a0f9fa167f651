"""The WSGI server (waitress), configured for long jobs: threads, disconnects, graceful stop.

A thread is held by every job whose client waits for it, running or not, by every client that
watches a job, and by every request that waits for something else: a checkpoint to load, a download.
Each of these is bounded. There are as many threads as all of them may hold, and some to spare, so
that `/progress` and `/interrupt` always find a free one.
"""

import logging
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from hexfusion.adapters.http.access.refusal_log import log_refusal
from hexfusion.adapters.http.access.tls import TlsTerminator
from hexfusion.adapters.http.app import MAX_BODY
from hexfusion.adapters.http.downloads.downloader import DownloadLimits
from hexfusion.adapters.http.errors import TooLarge
from hexfusion.adapters.http.wire.json_results import to_json
from hexfusion.application.jobs.board import MAX_CLOSING, MAX_WATCHERS
from hexfusion.application.jobs.waiting_room import WAITING, places

_log = logging.getLogger(__name__)

#: Threads beyond those that may be held, for short requests such as `/progress`.
SPARE_THREADS = 8
#: Number of `WaitingRoom`s: for checkpoints to load, and for refreshing file lists.
ROOMS = 2
#: Longest body, in bytes, that is over the limit and still read to its end and discarded.
_DISCARD = 2**30


def threads_for(slots: int, max_waiting: int, loads_waiting: int = WAITING) -> int:
    """Threads needed for `slots` running jobs, `max_waiting` waiting jobs, and `loads_waiting`
    requests in each waiting room.
    """
    jobs = slots + max_waiting + MAX_CLOSING
    previews = slots  # of each running job one client at a time makes one
    rooms = ROOMS * places(loads_waiting)
    return jobs + previews + MAX_WATCHERS + rooms + DownloadLimits().at_once + SPARE_THREADS


def serve(
    app: Callable[..., Any],
    *,
    host: str = "0.0.0.0",
    port: int = 7861,
    threads: int,
    max_body: int = MAX_BODY,
    keep_alive: int = 30,
    prefix: str = "",
    trusted_proxy: str = "",
    tls: ssl.SSLContext | None = None,
    grace: float = 30.0,
    on_ready: Callable[[int], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    busy: Callable[[], bool] = lambda: False,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests; a second signal stops at once.

    `on_ready` is called with the port once connections are accepted. `on_stop` is called when the
    stop begins, so that jobs can be shortened. Running requests have `grace` seconds, and so has
    work without a request, while `busy` returns true. Raises `OSError` when the port is taken. The
    other arguments are those of `Server`.
    """
    server = Server(
        app,
        host=host,
        port=port,
        threads=threads,
        max_body=max_body,
        keep_alive=keep_alive,
        prefix=prefix,
        trusted_proxy=trusted_proxy,
        tls=tls,
    )
    with _signals(server.stop):
        if on_ready:
            on_ready(server.port)
        server.run(grace=grace, on_stop=on_stop, busy=busy)


class Server:
    """A bound socket and its threads. `run` in one thread, `stop` from any."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        host: str,
        port: int,
        threads: int,
        max_body: int = MAX_BODY,
        keep_alive: int = 30,
        prefix: str = "",
        trusted_proxy: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Port 0 takes any free one. `keep_alive` is how long an idle connection stays, seconds.

        `prefix` is the path under which a proxy serves this server; requests may include it or
        not. `trusted_proxy` is the address of a proxy whose X-Forwarded-For, -Host and -Proto
        headers are trusted. With `tls` only HTTPS is served.
        """
        self._tls = TlsTerminator(tls) if tls else None
        self._sockets: dict[int, Any] = {}
        self._waitress = create_server(
            app,
            map=self._sockets,
            host=host,
            port=port,
            threads=threads,
            ident="hexfusion",
            channel_request_lookahead=1,  # without it nobody sees a client leave
            channel_timeout=keep_alive,
            # Waitress refuses bodies that are as long as its limit; ours may be that long.
            max_request_body_size=max_body + 1,
            recv_bytes=65536,
            connection_limit=1000,
            asyncore_use_poll=True,  # select() ends at 1024 descriptors
            url_scheme="https" if tls else "http",
            url_prefix=prefix,
            **(_believing(trusted_proxy) if trusted_proxy else {}),
        )
        self._listeners = [s for s in self._sockets.values() if isinstance(s, BaseWSGIServer)]
        for listener in self._listeners:
            listener.channel_class = self._channel
        self._stopping = threading.Event()
        self._deadline = float("inf")

    @property
    def port(self) -> int:
        """The actual port, also if 0 was requested."""
        return int(self._listeners[0].effective_port)

    def run(
        self,
        *,
        grace: float = 30.0,
        on_stop: Callable[[], None] | None = None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """Serve until `stop`, then wait at most `grace` seconds for running requests, and while
        `busy` returns true."""
        if self._tls:
            self._tls.start()
        while not self._stopping.is_set():
            self._turn(1.0)
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)  # its wake-up pipe stays open
        self._deadline = min(self._deadline, time.monotonic() + grace)
        if on_stop:
            on_stop()
        while (self._busy() or busy()) and time.monotonic() < self._deadline:
            self._turn(0.1)
        self._waitress.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._sockets)
        if self._tls:
            self._tls.stop(max(0.1, min(5.0, self._deadline - time.monotonic())))

    def stop(self) -> None:
        """Stop gracefully; a second call stops at once. Safe in a signal handler."""
        if self._stopping.is_set():
            self._deadline = 0.0
        self._stopping.set()
        for listener in self._listeners:
            listener.pull_trigger()

    def _channel(
        self, server: BaseWSGIServer, client: socket.socket, *rest: Any, **named: Any
    ) -> "_Channel":
        """Create the channel of an accepted connection; called by waitress."""
        return _Channel(server, self._tls.wrap(client) if self._tls else client, *rest, **named)

    def _turn(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._sockets, count=1)

    def _busy(self) -> bool:
        """Whether a request is running or a reply not yet sent. Marks idle connections for
        closing."""
        channels = [each for each in self._sockets.values() if isinstance(each, HTTPChannel)]
        busy = [each for each in channels if each.requests or each.total_outbufs_len]
        for channel in channels:
            channel.will_close = channel.will_close or channel not in busy
        return bool(busy)


def _believing(proxy: str) -> dict[str, Any]:
    """Waitress settings to trust a proxy's headers; those of other peers are dropped."""
    headers = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
    return {"trusted_proxy": proxy, "trusted_proxy_count": 1, "trusted_proxy_headers": headers}


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        stop()

    before = {each: signal.signal(each, heard) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _JsonError(ErrorTask):
    """Waitress's own error replies, as JSON."""

    def execute(self) -> None:
        error = self.request.error
        if isinstance(error, RequestEntityTooLarge):
            detail = str(TooLarge(self.channel.adj.max_request_body_size - 1))
        else:
            detail = error.reason
        log_refusal(
            getattr(self.request, "command", "?"),  # absent where not even that could be read
            getattr(self.request, "path", "?"),
            error.code,
            detail,
            client=str(self.channel.addr[0]) if self.channel.addr else None,
        )
        body = to_json({"detail": detail})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _PatientParser(HTTPRequestParser):
    """Reads and discards a body over the limit before the 413 is sent.

    Waitress would answer and close at once, and a client that is still sending would see a broken
    pipe instead of the 413. A client that sent `Expect: 100-continue` is answered at once.
    """

    _surplus = 0
    expect_continue = False

    def parse_header(self, header_plus: bytes) -> None:
        """Also refuses requests whose body length is ambiguous (request smuggling).

        That is, both Content-Length and chunked encoding, or Transfer-Encoding in HTTP/1.0: a proxy
        may have used the other length, and passed what would be the next request here as part of
        the body (RFC 9112, 6.1 and 11.2). Raises `ParsingError`.
        """
        super().parse_header(header_plus)
        told_twice = self.chunked and "CONTENT_LENGTH" in self.headers
        if told_twice or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("The length of the body is ambiguous")

    def received(self, data: bytes) -> int:
        if self._surplus:
            taken = min(len(data), self._surplus)
            self._surplus -= taken
            self.completed = not self._surplus
            return taken
        was_in_header = not self.headers_finished
        consumed: int = super().received(data)
        if was_in_header and isinstance(self.error, RequestEntityTooLarge):
            if self.expect_continue:
                self.expect_continue = False  # else waitress would invite the body first
            elif self.content_length <= _DISCARD:
                self._surplus = self.content_length
                self.completed = False
        return consumed


class _Channel(HTTPChannel):
    parser_class = _PatientParser
    error_task_class = _JsonError
