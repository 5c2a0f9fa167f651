"""The listening socket: who may connect. Never waits, and says once a minute what it refuses."""

import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from waitress.server import TcpWSGIServer

from hexfusion.adapters.http.access.rate_limit import client_of
from hexfusion.adapters.http.access.tls import TlsTerminator
from hexfusion.adapters.http.serving.channel import Channel
from hexfusion.adapters.http.serving.deadlines import Overdue
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.parser import Parser
from hexfusion.adapters.http.serving.quiet_log import QuietLog
from hexfusion.adapters.http.wire.json_results import to_json

_log = logging.getLogger(__name__)

#: Errors of accept() that tell that the machine has no more to give.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
#: Seconds without accepting after one of these.
_PAUSE = 0.5

#: Returns the longest body for the request that a parser has read the header of.
Judge = Callable[[Channel, Parser], int]


class Listener(TcpWSGIServer):
    """Accepts connections, as many as the limits allow.

    Where there are too many, the one that has been without a request for longest makes room: so a
    client with a whole request is served although others open connections without end.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        map: dict[int, Any],
        *,
        limits: ConnectionLimits,
        judge: Judge | None,
        max_body: int,
        trusted_proxy: str = "",
        tls: TlsTerminator | None = None,
        clock: Callable[[], float] = time.monotonic,
        **waitress: Any,
    ) -> None:
        """`map` holds the sockets of all listeners; `waitress` are arguments of its server.

        Channels use `judge` and `max_body`, in bytes.
        """
        self.judge = judge
        self.max_body = max_body
        #: Connections to be closed, once their events of this turn have been handled.
        self.doomed: list[Channel] = []
        self._limits = limits
        self._proxy = client_of(trusted_proxy) if trusted_proxy else None
        self._tls = tls
        self._clock = clock
        self._paused_until = 0.0
        self._quiet = QuietLog(_log, clock)
        super().__init__(app, map, **waitress)

    def readable(self) -> bool:
        return bool(self.accepting) and self._clock() >= self._paused_until

    def handle_accept(self) -> None:
        try:
            accepted = self.accept()
        except OSError as error:
            self._out_of(error)
            return
        if accepted is None:
            return
        connection, address = accepted
        try:
            self._admit(connection, address)
        except OSError as error:
            connection.close()
            self._out_of(error)

    def check(self) -> None:
        """Close what is over its time. To be called every second or so."""
        for channel in self._channels():
            overdue = channel.check()
            if overdue and overdue is not Overdue.IDLE:
                text = f"closed a connection of %s: it {overdue.value}"
                self._quiet.warning(text, channel.client)

    def close_doomed(self) -> None:
        """To be called between two turns of the loop: within one, the descriptor of a closed
        connection may be another's already when its own events are handled."""
        while self.doomed:
            self.doomed.pop().handle_close()

    def _admit(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        client = client_of(address[0])
        if full := self._full(client):
            self._quiet.warning("refused a connection of %s: %s", client, full)
            self._refuse(connection, full)
            return
        self.set_socket_options(connection)
        plain = self._tls.wrap(connection) if self._tls else connection
        Channel(
            self,
            plain,
            address,
            self.adj,
            limits=self._limits,
            clock=self._clock,
            relayed=self._tls is not None,
            map=self._map,
        )

    def _full(self, client: str) -> str | None:
        """Make room for one more connection of `client`; returns why there is none."""
        channels = list(self._channels())
        counts = Counter(each.client for each in channels)
        limits = self._limits
        if client != self._proxy and counts[client] >= limits.connections_per_address:
            if not self._make_room([each for each in channels if each.client == client]):
                return "too many connections from this address (--connections-per-address)"
        elif len(channels) >= limits.connections and not self._make_room(channels):
            return "too many connections (--connections)"
        return None

    def _make_room(self, channels: list[Channel]) -> bool:
        """Close the least of these that has no request. Whether there is one."""
        ranked = [(rank, each) for each in channels if (rank := each.expendable) is not None]
        if not ranked:
            return False
        channel = min(ranked, key=lambda pair: pair[0])[1]
        channel.doomed = True
        self.doomed.append(channel)
        self._quiet.warning("closed a connection of %s to make room", channel.client)
        return True

    def _channels(self) -> Iterator[Channel]:
        """Those of all listeners."""
        for each in [*self._map.values()]:
            if isinstance(each, Channel) and not each.doomed:
                yield each

    def _refuse(self, connection: socket.socket, reason: str) -> None:
        """Say why, if that can be done without waiting."""
        body = to_json({"detail": reason})
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError):
            connection.setblocking(False)
            if not self._tls:
                connection.send(head.encode() + body)
        connection.close()

    def _out_of(self, error: OSError) -> None:
        """A connection cannot be accepted."""
        if error.errno not in _EXHAUSTED:
            return  # the client has gone already
        self._paused_until = self._clock() + _PAUSE
        self._make_room(list(self._channels()))
        self._quiet.warning("cannot accept connections: %s", error)
