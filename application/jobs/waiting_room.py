"""A bound for those who wait for one thing, as a checkpoint to load, without being in the queue.

Each of them holds a thread of the server. Without a bound they would hold all of them, and nobody
could ask for progress, or interrupt.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from hexfusion.domain.errors import TooManyWaiting

P = ParamSpec("P")
R = TypeVar("R")

#: How many may wait, beside the one who is at it, unless the operator says otherwise.
WAITING = 4
#: Seconds after which asking again makes sense: a checkpoint takes some to load.
RETRY_AFTER = 5


class WaitingRoom:
    """At most `waiting` callers wait for `what` ("a checkpoint to load") beside the one who is at
    it: one more is refused at once. Whose turn it is in there is for others to say."""

    def __init__(self, what: str, waiting: int = WAITING) -> None:
        self._what = what
        self._places = places(waiting)
        self._free = threading.BoundedSemaphore(self._places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for the time of the `with` block. Raises `TooManyWaiting`."""
        if not self._free.acquire(blocking=False):
            raise TooManyWaiting(self._what, self._places, RETRY_AFTER)
        try:
            yield
        finally:
            self._free.release()

    def bounded(self, act: Callable[P, R]) -> Callable[P, R]:
        """The same act, for which one needs a place."""

        @wraps(act)
        def acting(*args: P.args, **named: P.kwargs) -> R:
            with self.place():
                return act(*args, **named)

        return acting


def places(waiting: int) -> int:
    """How many are in a room where so many may wait: each holds a thread."""
    return waiting + 1
