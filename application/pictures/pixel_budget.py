"""Bounds how many pixels requests may bring, and how many of them are decoded at once.

A decoded pixel takes four bytes, and the work on a picture needs some copies of it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hexfusion.application.jobs.job import Job
from hexfusion.domain.errors import InvalidRequest, JobCancelled

T = TypeVar("T")

MEGA = 10**6
#: Defaults, in pixels: two pictures of the largest size, such as one with its mask.
REQUEST_PIXELS = DECODED_PIXELS = 135 * MEGA
#: Seconds between two checks whether the client of a waiting job has disconnected.
_PATROL = 0.25


class PixelBudget:
    """Counts the pixels of received pictures. Thread-safe.

    `request` is how many one request may bring in all its pictures, `decoded` how many all running
    jobs may have decoded; a job that exceeds that alone runs alone.
    """

    def __init__(self, request: int = REQUEST_PIXELS, decoded: int = DECODED_PIXELS) -> None:
        self._request = request
        self._decoded = decoded
        self._held = 0
        self._line: list[object] = []  # first come, first served: small ones would never end
        self._changed = threading.Condition()

    def check(self, pictures: Iterable[int], field: str) -> int:
        """The sum of the pixels of the pictures of a request. Raises `InvalidRequest` naming
        `field` if that is too many."""
        total = sum(pictures)
        if total > self._request:
            message = f"pictures together may have {self._request} pixels, not {total}"
            raise InvalidRequest(field, message)
        return total

    @contextmanager
    def held(self, pixels: int, job: Job) -> Iterator[None]:
        """Hold the share of a running job for the `with` block; waits until there is room for it.

        Raises `JobCancelled` if the job is cancelled meanwhile.
        """
        self._take(pixels, job)
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()

    def _take(self, pixels: int, job: Job) -> None:
        place = object()
        with self._changed:
            self._line.append(place)
            try:
                while self._line[0] is not place or not self._fits(pixels):
                    if job.cancelled():
                        raise JobCancelled(f"job {job.id} was cancelled while it waited")
                    self._changed.wait(_PATROL)
                self._held += pixels
            finally:
                self._line.remove(place)
                self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        return not self._held or self._held + pixels <= self._decoded

    def within(self, pixels: int, make: Callable[[Job], T]) -> Callable[[Job], T]:
        """`make`, wrapped so that it holds so many pixels while it works."""

        def making(job: Job) -> T:
            with self.held(pixels, job):
                return make(job)

        return making if pixels else make
