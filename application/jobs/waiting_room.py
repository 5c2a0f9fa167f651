"""Bounds the number of requests that wait for one thing outside the job queue.

For example for a checkpoint to load. Each waiting request holds a thread of the server. Without a
bound they could hold all threads, and `/progress` or `/interrupt` would find none.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from hexfusion.application.jobs.allotment import shared
from hexfusion.domain.errors import ShareTaken, TooManyWaiting

P = ParamSpec("P")
R = TypeVar("R")

#: Default number of requests that may wait, in addition to the one being served.
WAITING = 4
#: Value of Retry-After in seconds: roughly how long a checkpoint takes to load.
RETRY_AFTER = 5


class WaitingRoom:
    """Lets at most `waiting` callers wait for `what`, in addition to the one being served.

    One more is refused at once, and so is who has their party's share of the places: three
    quarters. `what` completes the error message "4 requests wait for ..", such as "a checkpoint to
    load". Mutual exclusion is the caller's task.
    """

    def __init__(self, what: str, waiting: int = WAITING) -> None:
        self._what = what
        self._share = shared(places(waiting))
        self._held = Counter[str]()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, party: str | None = None) -> Iterator[None]:
        """Hold a place of the party for the `with` block; without one any that is free.

        Raises `TooManyWaiting` if there is none, `ShareTaken` if there is none for the party.
        """
        self._take(party)
        try:
            yield
        finally:
            with self._lock:
                self._held[party or ""] -= 1
                self._held += Counter()  # without those that have none

    def _take(self, party: str | None) -> None:
        with self._lock:
            if self._share.full(self._held):
                raise TooManyWaiting(self._what, self._share.places, RETRY_AFTER)
            if party is not None and self._share.exceeded(self._held, party):
                waits = f"requests waiting for {self._what}"
                raise ShareTaken(party, self._held[party], waits, RETRY_AFTER)
            self._held[party or ""] += 1

    def bounded(self, act: Callable[P, R]) -> Callable[Concatenate[str | None, P], R]:
        """`act`, wrapped so that each call holds a place of the party that is its first argument.

        The wrapper raises `TooManyWaiting`, `ShareTaken`.
        """

        @wraps(act)
        def acting(party: str | None, /, *args: P.args, **named: P.kwargs) -> R:
            with self.place(party):
                return act(*args, **named)

        return acting


def places(waiting: int) -> int:
    """Places in a room where `waiting` may wait, the one being served included; one thread each."""
    return waiting + 1
