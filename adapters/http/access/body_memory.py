"""Bounds the memory that the bodies of all requests under way take together."""

import threading

import falcon

from hexfusion.application.jobs.waiting_room import RETRY_AFTER
from hexfusion.application.pictures.base64_pictures import Fetch

#: Default bound, in bytes.
LIMIT = 256 * 2**20
#: Bodies up to this many bytes are not counted: they interrupt jobs and change options, and there
#: are no more of them than threads.
SMALL = 64 * 2**10

_KEY = "body_memory"


class TooMuchWaiting(Exception):
    """The requests under way take all the memory they may. `retry_after` is in seconds."""

    def __init__(self, held: int, limit: int) -> None:
        super().__init__(
            f"requests of {held >> 20} MiB wait or are worked on, and all together may have"
            f" {limit >> 20} MiB; try again in {RETRY_AFTER} s"
        )
        self.retry_after = RETRY_AFTER


class Reservation:
    """A share of the memory, returned by `release`, or with the last reference to it."""

    def __init__(self, memory: "BodyMemory", size: int) -> None:
        self._memory = memory
        self._size = size
        self.handed_over = False

    def grow(self, size: int) -> None:
        """Take as much more. Raises `TooMuchWaiting`."""
        self._memory.take(size)
        self._size += size

    def release(self) -> None:
        """Return the share; a second call does nothing."""
        size, self._size = self._size, 0
        self._memory.give_back(size)

    def __del__(self) -> None:
        self.release()


class BodyMemory:
    """Middleware that reserves memory for each body before it is read. Thread-safe.

    The reservation ends with the reply, or with what the request left behind (`hand_over`). While
    nothing else is reserved, any body is taken.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = 0
        # Entered again where a reservation is collected while this thread is inside.
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """Bytes reserved."""
        return self._held

    def reserve(self, size: int) -> Reservation:
        """A reservation of so many bytes. Raises `TooMuchWaiting`."""
        self.take(size, alone=True)
        return Reservation(self, size)

    def take(self, size: int, *, alone: bool = False) -> None:
        """Used by `Reservation`. With `alone` any size is right while nothing else is held."""
        with self._lock:
            fits = self._held + size <= self._limit or (alone and not self._held)
            if size and not fits:
                raise TooMuchWaiting(self._held, self._limit)
            self._held += size

    def give_back(self, size: int) -> None:
        """Used by `Reservation`."""
        with self._lock:
            self._held -= size

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Raises `TooMuchWaiting`."""
        size = req.content_length or 0
        req.context[_KEY] = self.reserve(size if size > SMALL else 0)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        reservation = req.context.pop(_KEY, None)
        if reservation is not None and not reservation.handed_over:
            reservation.release()


def hand_over(req: falcon.Request) -> Reservation | None:
    """The reservation of the request, for what outlives its reply.

    It lasts until it is released, or nothing refers to it any more.
    """
    reservation: Reservation | None = req.context.get(_KEY)
    if reservation is not None:
        reservation.handed_over = True
    return reservation


def counting(fetch: Fetch, req: falcon.Request) -> Fetch:
    """`fetch` for this request, which reserves memory for what it gets. It raises
    `TooMuchWaiting`, besides what `fetch` raises."""
    reservation: Reservation | None = req.context.get(_KEY)

    def fetching(url: str, field: str) -> bytes:
        data = fetch(url, field)
        if reservation is not None:
            reservation.grow(len(data))
        return data

    return fetching
