"""How long each phase of a connection may take. Knows no sockets and no clock.

A connection that is looked at from time to time tells its state; the answer is whether it has had
its time. Against clients that send, or read, a byte now and then (slowloris).
"""

from dataclasses import dataclass
from enum import Enum

from hexfusion.adapters.http.serving.limits import ConnectionLimits


class Phase(Enum):
    """What a connection is about."""

    IDLE = "idle"  # nothing of a next request has come
    HEAD = "head"
    BODY = "body"
    SERVED = "served"  # a request is being answered, or its reply is being sent
    LINGER = "linger"  # what a refused client still sends is dropped


class Overdue(Enum):
    """What a connection has taken too long for. The value is for the log."""

    IDLE = "had no request for long"
    HEAD = "sent no whole header in time (--header-timeout)"
    BODY = "sent no whole body in time (--body-timeout)"
    SLOW_BODY = "sent a body too slowly (--least-rate over --stall-timeout)"
    SLOW_READER = "took a reply too slowly (--least-rate over --stall-timeout)"
    LINGER = "went on sending after being refused"


@dataclass(frozen=True)
class State:
    """A connection at a moment. A phase is over when `token` is another.

    `received` counts the bytes of the body so far; `pending` those of the reply that the client has
    not taken yet, in the server and in the kernel; `taken` those that it has, over all replies.
    """

    phase: Phase
    token: object = None
    received: int = 0
    pending: int = 0
    taken: int = 0
    served: int = 0
    """Requests that have been answered."""


class Deadlines:
    """The deadlines of one connection."""

    def __init__(self, limits: ConnectionLimits, now: float) -> None:
        """`now` is when it was accepted, in monotonic seconds."""
        self._limits = limits
        self._phase: Phase | None = None
        self._token: object = None
        self._served = 0
        #: When the phase began.
        self.since = now
        #: Since when it has had no whole header.
        self._waits_since = now
        self._body = _Pace(limits)
        self._reply = _Pace(limits)

    def check(self, now: float, state: State) -> Overdue | None:
        """What the connection has taken too long for, if anything. Call it every second or so."""
        if state.phase is not self._phase or state.token != self._token:
            if self._phase is not None:  # the first phase began when it was accepted
                self.since = now
            self._phase, self._token = state.phase, state.token
            self._body.rest()
        if state.phase not in (Phase.IDLE, Phase.HEAD) or state.served != self._served:
            self._waits_since, self._served = now, state.served
        if not state.pending:
            self._reply.rest()
        elif self._reply.too_slow(now, state.taken):
            return Overdue.SLOW_READER
        return self._overdue(now, state)

    def _overdue(self, now: float, state: State) -> Overdue | None:
        limits, spent = self._limits, now - self.since
        patience = limits.keep_alive if state.served else limits.header_timeout
        # Blank lines are allowed before a request, and end any number of empty headers.
        endless = now - self._waits_since >= patience + limits.header_timeout
        match state.phase:
            case Phase.IDLE:
                return Overdue.IDLE if endless or spent >= patience else None
            case Phase.HEAD:
                return Overdue.HEAD if endless or spent >= limits.header_timeout else None
            case Phase.BODY:
                if spent >= limits.body_timeout:
                    return Overdue.BODY
                return Overdue.SLOW_BODY if self._body.too_slow(now, state.received) else None
            case Phase.LINGER:
                return Overdue.LINGER if spent >= limits.linger else None
        return None


class _Pace:
    """Whether bytes get on, measured over `stall_timeout`."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._span = limits.stall_timeout
        self._least = limits.least_rate * limits.stall_timeout
        self._start: tuple[float, int] | None = None

    def rest(self) -> None:
        """There is nothing to get on with."""
        self._start = None

    def too_slow(self, now: float, done: int) -> bool:
        """`done` counts all bytes so far."""
        if self._start is None:
            self._start = now, done
        then, before = self._start
        if now - then < self._span:
            return False
        self._start = now, done
        return done - before < self._least
