"""Bounds the number of requests that wait for one thing outside the job queue.

For example for a checkpoint to load. Each waiting request holds a thread of the server. Without a
bound they could hold all threads, and `/progress` or `/interrupt` would find none.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from hexfusion.domain.errors import TooManyWaiting

P = ParamSpec("P")
R = TypeVar("R")

#: Default number of requests that may wait, in addition to the one being served.
WAITING = 4
#: Value of Retry-After in seconds: roughly how long a checkpoint takes to load.
RETRY_AFTER = 5


class WaitingRoom:
    """Lets at most `waiting` callers wait for `what`, in addition to the one being served.

    One more is refused at once. `what` completes the error message "4 requests wait for ..", such
    as "a checkpoint to load". Mutual exclusion is the caller's task.
    """

    def __init__(self, what: str, waiting: int = WAITING) -> None:
        self._what = what
        self._places = places(waiting)
        self._free = threading.BoundedSemaphore(self._places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the `with` block. Raises `TooManyWaiting` if there is none."""
        if not self._free.acquire(blocking=False):
            raise TooManyWaiting(self._what, self._places, RETRY_AFTER)
        try:
            yield
        finally:
            self._free.release()

    def bounded(self, act: Callable[P, R]) -> Callable[P, R]:
        """`act`, wrapped so that each call holds a place. The wrapper raises `TooManyWaiting`."""

        @wraps(act)
        def acting(*args: P.args, **named: P.kwargs) -> R:
            with self.place():
                return act(*args, **named)

        return acting


def places(waiting: int) -> int:
    """Places in a room where `waiting` may wait, the one being served included; one thread each."""
    return waiting + 1
