"""The WSGI server (waitress), configured for long jobs: threads, disconnects, graceful stop.

A thread is held by every job whose client waits for it, running or not, by every client that
watches a job, and by every request that waits for something else: a checkpoint to load, a download.
Each of these is bounded. There are as many threads as all of them may hold, and some to spare, so
that `/progress` and `/interrupt` always find a free one.
"""

import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from hexfusion.adapters.http.access.tls import TlsTerminator
from hexfusion.adapters.http.app import MAX_BODY
from hexfusion.adapters.http.downloads.downloader import DownloadLimits
from hexfusion.adapters.http.serving.channel import Channel
from hexfusion.adapters.http.serving.descriptors import connections_for, raise_limit
from hexfusion.adapters.http.serving.heads import Heads
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.listener import Listener
from hexfusion.adapters.http.serving.quiet_log import QuietLog
from hexfusion.adapters.http.serving.signals import on_signals
from hexfusion.application.jobs.board import MAX_CLOSING, MAX_WATCHERS
from hexfusion.application.jobs.waiting_room import WAITING, places

_log = logging.getLogger(__name__)

#: Threads beyond those that may be held, for short requests such as `/progress`.
SPARE_THREADS = 8
#: Number of `WaitingRoom`s: for checkpoints to load, and for refreshing file lists.
ROOMS = 2
#: Seconds between two looks at all connections.
_LOOK = 0.5


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
    limits: ConnectionLimits | None = None,
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
    raise_limit()
    server = Server(
        app,
        host=host,
        port=port,
        threads=threads,
        max_body=max_body,
        limits=limits,
        prefix=prefix,
        trusted_proxy=trusted_proxy,
        tls=tls,
    )
    with on_signals(server.stop):
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
        limits: ConnectionLimits | None = None,
        prefix: str = "",
        trusted_proxy: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Port 0 takes any free one. `limits` bound the connections; there are no more of them than
        the process has descriptors for.

        `prefix` is the path under which a proxy serves this server; requests may include it or
        not. `trusted_proxy` is the address of a proxy whose X-Forwarded-For, -Host and -Proto
        headers are trusted. With `tls` only HTTPS is served.

        An `app` with a method `admit` is asked how long a body may be once a header is complete
        (see `app.Application`).
        """
        limits = limits or ConnectionLimits()
        self._tls = TlsTerminator(tls) if tls else None
        self._sockets: dict[int, Any] = {}
        adj = Adjustments(
            host=host,
            port=port,
            ident="hexfusion",
            channel_request_lookahead=1,  # without it nobody sees a client leave
            max_request_body_size=sys.maxsize,  # bodies are bounded by our parser
            max_request_header_size=limits.max_header,
            recv_bytes=65536,
            connection_limit=sys.maxsize,  # connections by our listener
            asyncore_use_poll=True,  # select() ends at 1024 descriptors
            log_socket_errors=False,
            url_scheme="https" if tls else "http",
            url_prefix=prefix,
            **(_believing(trusted_proxy) if trusted_proxy else {}),
        )
        self._tasks = ThreadedTaskDispatcher()
        self._tasks.queue_logger = QuietLog(self._tasks.queue_logger, time.monotonic)
        room = connections_for(limits.connections, tls=tls is not None)
        if room < limits.connections:
            _log.info("at most %d connections: there are no descriptors for more", room)
        admit = getattr(app, "admit", None)
        self._listeners = [
            Listener(
                app,
                self._sockets,
                limits=replace(limits, connections=room),
                judge=admit and Heads(admit, adj),
                max_body=max_body,
                trusted_proxy=trusted_proxy,
                tls=self._tls,
                dispatcher=self._tasks,
                adj=adj,
                sockinfo=address,
            )
            for address in adj.listen
        ]
        self._tasks.set_thread_count(threads)
        self._stopping = threading.Event()
        self._deadline = float("inf")
        self._over = False
        self._next_look = 0.0

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
            self._turn(_LOOK)
        for listener in self._listeners:
            wasyncore.dispatcher.close(listener)  # its wake-up pipe stays open
        self._deadline = min(self._deadline, time.monotonic() + grace)
        if on_stop:
            on_stop()
        while (self._busy() or busy()) and time.monotonic() < self._deadline:
            self._turn(0.1)
        self._tasks.shutdown(timeout=1)
        self._over = True
        wasyncore.close_all(self._sockets)
        if self._tls:
            self._tls.stop(max(0.1, min(5.0, self._deadline - time.monotonic())))

    def stop(self) -> None:
        """Stop gracefully; a second call stops at once. Safe in a signal handler."""
        if self._stopping.is_set():
            self._deadline = 0.0
        self._stopping.set()
        if self._over:  # its descriptors may be others' by now
            return
        for listener in self._listeners:
            with suppress(OSError):  # closed meanwhile, by the thread of `run`
                listener.pull_trigger()

    def _turn(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, use_poll=True, map=self._sockets, count=1)
        for listener in self._listeners:
            listener.close_doomed()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK
            self._listeners[0].check()

    def _busy(self) -> bool:
        """Whether a request is running or a reply not yet sent. Marks idle connections for
        closing."""
        channels = [each for each in self._sockets.values() if isinstance(each, Channel)]
        busy = [each for each in channels if each.requests or each.total_outbufs_len]
        for channel in channels:
            channel.will_close = channel.will_close or channel not in busy
        return bool(busy)


def _believing(proxy: str) -> dict[str, Any]:
    """Waitress settings to trust a proxy's headers; those of other peers are dropped."""
    headers = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
    return {"trusted_proxy": proxy, "trusted_proxy_count": 1, "trusted_proxy_headers": headers}
