"""A client's connection: waitress's channel, bounded in time."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress.channel import HTTPChannel

from hexfusion.adapters.http.access.rate_limit import client_of
from hexfusion.adapters.http.serving.deadlines import Deadlines, Overdue, Phase, State
from hexfusion.adapters.http.serving.limits import ConnectionLimits
from hexfusion.adapters.http.serving.parser import Parser
from hexfusion.adapters.http.serving.tasks import JsonError, Task

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # no POSIX system
    ioctl = None  # type: ignore[assignment]

#: Socket option SO_LINGER: drop what is not sent when the socket is closed.
_AT_ONCE = struct.pack("ii", 1, 0)


class Channel(HTTPChannel):
    """A connection. `check` is to be called every second or so by the thread of the loop."""

    task_class = Task
    error_task_class = JsonError
    #: The request that is being received, None between requests.
    request: Any = None

    def __init__(
        self,
        server: Any,
        sock: socket.socket,
        addr: tuple[Any, ...],
        adj: Any,
        *,
        limits: ConnectionLimits,
        clock: Callable[[], float],
        relayed: bool = False,
        map: dict[int, Any] | None = None,
    ) -> None:
        """`server` is a `Listener`; `clock` returns monotonic seconds; `relayed` tells that the
        socket is that of a TLS relay, not of the client."""
        self.client = client_of(addr[0])
        #: Whether it is about to be closed by its listener.
        self.doomed = False
        self._limits = limits
        self._clock = clock
        self._relayed = relayed
        self._deadlines = Deadlines(limits, clock())
        #: Requests that were answered, and bytes that the kernel has taken of all replies.
        self._served = self._sent = 0
        #: Whether what the client sends is dropped, and how much has been.
        self._deaf = False
        self._dropped = 0
        self._lingering = False
        super().__init__(server, sock, addr, adj, map=map)

    def parser_class(self, adj: Any) -> Parser:
        """The parser of the next request; called by waitress."""
        judge, limit = self.server.judge, self.server.max_body
        ask = None if judge is None else lambda request: judge(self, request)
        return Parser(adj, bound=ask, max_body=limit, deafen=self._deafen)

    @property
    def expendable(self) -> tuple[bool, float] | None:
        """Its rank among those to close when there are too many, the least first; None if it has a
        request that is being answered."""
        if self.requests:
            return None
        return self._phase() is Phase.BODY, self._deadlines.since

    def check(self) -> Overdue | None:
        """End the connection if it has taken too long; returns for what.

        A request that did not come in time is answered with 408.
        """
        overdue = self._deadlines.check(self._clock(), self._state())
        if overdue in (Overdue.HEAD, Overdue.BODY, Overdue.SLOW_BODY):
            # The parser belongs to this thread while no request is being answered.
            self.request.give_up()
            late, self.request = self.request, None
            self.requests.append(late)
            self.server.add_task(self)
        elif overdue:
            if (
                overdue is Overdue.SLOW_READER and not self._relayed
            ):  # else the kernel keeps what the client does not take
                with suppress(OSError):
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.handle_close()
        return overdue

    def readable(self) -> bool:
        return super().readable() or (self._deaf and not self.will_close)

    def writable(self) -> bool:
        return bool(self.will_close if self._lingering else super().writable())

    def handle_read(self) -> None:
        try:
            data = self.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return  # an event of an earlier connection with this descriptor
        except OSError:
            self.handle_close()
            return
        if not data:
            self.connected = False
        elif self._deaf:
            self._dropped += len(data)
            if self._dropped > self._limits.linger_bytes:
                self.handle_close()
        else:
            self.received(data)

    def handle_write(self) -> None:
        if not (self._deaf and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        # Closed now, the kernel would reset the connection because of what the client has sent
        # since, and the client lose the reply (RFC 9112, 9.6).
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self._lingering = True
            if not self._relayed:  # a relay would hang up
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close=do_close)
        self._sent += sent
        return sent

    def service(self) -> None:
        super().service()
        self._served += 1

    def _deafen(self) -> None:
        self._deaf = True

    def _phase(self) -> Phase:
        if self.requests:
            return Phase.SERVED
        if self._lingering:
            return Phase.LINGER
        if self.request is None:
            return Phase.SERVED if self.total_outbufs_len else Phase.IDLE
        return Phase.BODY if self.request.headers_finished else Phase.HEAD

    def _state(self) -> State:
        phase = self._phase()
        queued = self._queued()
        return State(
            phase,
            token=self._served if phase is Phase.IDLE else self.request,
            received=self.request.body_bytes_received if phase is Phase.BODY else 0,
            pending=self.total_outbufs_len + queued,
            taken=self._sent - queued,
            served=self._served,
        )

    def _queued(self) -> int:
        """Bytes of replies that the kernel has and the client has not acknowledged."""
        if ioctl is None or not self._sent:
            return 0
        try:
            answer = ioctl(self.socket.fileno(), TIOCOUTQ, bytes(4))
        except OSError:  # a system that does not tell it
            return 0
        return int(struct.unpack("i", answer)[0])
