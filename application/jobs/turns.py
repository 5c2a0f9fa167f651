"""Whose turn it is among the parties that wait: who has had the least of the slots.

Fair queueing by running time. Each party has an account of slot seconds: what its jobs have run.
The waiting party with the smallest account goes next, so that parties that wait get equal time,
however many jobs they have and however long these are. A *level* rises meanwhile, as the account
of a party would that gets exactly its share. Who comes without a job waiting starts at the level or
at its own account, whichever is higher: nobody gathers time by staying away, a newcomer gets no
more than its share from now on, and who leaves takes their account along. See docs/adr/0025.

Source: the level is the virtual time of Parekh and Gallager 1993, "A generalized processor sharing
approach to flow control"; that jobs are charged as they run, since nobody knows their length, is as
in start-time fair queueing (Goyal, Vin, Cheng 1997).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Protocol, TypeVar

#: Most parties without a job whose accounts are remembered.
REMEMBERED = 1024
#: Seconds that a job is presumed to run before any has ended.
_FIRST_GUESS = 1.0
#: Weight of the latest job in a party's mean running time.
_LATEST = 0.3


def fair_share(slots: int, waiting: int, content: Iterable[int]) -> float:
    """The max-min fair share of the slots, for each of `waiting` parties that want more.

    `content` are the numbers of slots of the others, who want no more: what one of these leaves of
    an equal share is divided among the rest. Without any that wait, all of the slots.
    """
    left, parties, demands = float(slots), waiting, sorted(content)
    if not waiting:
        return left
    parties += len(demands)
    for demand in demands:
        if demand * parties >= left:
            break
        left, parties = left - demand, parties - 1
    return left / parties


class OfParty(Protocol):
    """A job. `started_at` is when it began, in seconds, None while it waits."""

    party: str
    started_at: float | None


W = TypeVar("W", bound=OfParty)


@dataclass
class _Account:
    had: float
    usual: float
    """Mean running time of its latest jobs, seconds."""


class Turns:
    """The accounts of all parties. Not thread-safe; has no clock: `now` is in any seconds.

    `slots` is how many jobs run at once; at most `remembered` parties without a job have accounts.
    """

    def __init__(self, slots: int = 1, remembered: int = REMEMBERED) -> None:
        self._slots = slots
        self._remembered = remembered
        self._accounts: dict[str, _Account] = {}
        self._level = 0.0
        self._usual = _FIRST_GUESS
        self._then: float | None = None

    def pass_time(
        self, now: float, running: Sequence[OfParty], waiting: Collection[OfParty]
    ) -> None:
        """Charge the time since the last call; to be called before either of the lists changes."""
        seconds = 0.0 if self._then is None else max(0.0, now - self._then)
        self._then = now
        for job in running:
            self._account(job.party).had += seconds
        wait, runs = {job.party for job in waiting}, Counter(job.party for job in running)
        active = wait | runs.keys()
        content = [count for party, count in runs.items() if party not in wait]
        self._level += seconds * fair_share(self._slots, len(wait), content)
        if len(self._accounts) > self._remembered + len(active):
            self._forget(active)

    def enter(self, party: str, *, waits: bool) -> None:
        """A job of the party comes; `waits` tells whether another of its jobs waits already."""
        account = self._account(party)
        if not waits:
            account.had = max(account.had, self._level)

    def ended(self, party: str, seconds: float) -> None:
        """A job of the party has run for so long."""
        account = self._account(party)
        account.usual += _LATEST * (seconds - account.usual)
        self._usual += _LATEST * (seconds - self._usual)

    def order(self, waiting: Sequence[W], running: Iterable[OfParty] = ()) -> list[W]:
        """The waiting jobs, given in order of arrival, in the order in which they should begin.

        The first is that whose turn it is, the others are foreseen: a job will take as long as its
        party's jobs have taken lately. Jobs of one party stay in order.
        """
        return list(self._foreseen(waiting, running))

    def _foreseen(self, waiting: Sequence[W], running: Iterable[OfParty]) -> Iterator[W]:
        had: dict[str, float] = {}
        lines: dict[str, deque[tuple[int, W]]] = defaultdict(deque)
        for place, job in enumerate(waiting):
            lines[job.party].append((place, job))
            had[job.party] = self._account(job.party).had
        for run in running:
            # What has just begun costs as much as a job does, or all slots would go to one party.
            if run.party in had:
                elapsed = (self._then or 0.0) - (run.started_at or 0.0)
                had[run.party] += max(0.0, self._account(run.party).usual - max(0.0, elapsed))
        heap = [(had[party], line[0][0], party) for party, line in lines.items()]
        heapify(heap)
        while heap:
            taken, _, party = heappop(heap)
            _, job = lines[party].popleft()
            yield job
            if line := lines[party]:
                heappush(heap, (taken + self._account(party).usual, line[0][0], party))

    def _account(self, party: str) -> _Account:
        if party not in self._accounts:
            self._accounts[party] = _Account(self._level, self._usual)
        return self._accounts[party]

    def _forget(self, active: Collection[str]) -> None:
        """Drop accounts of parties without a job: those under the level first, which start at it
        anyway, then those that are least above it."""
        idle = sorted(
            (account.had, party) for party, account in self._accounts.items() if party not in active
        )
        for _, party in idle[: len(idle) - self._remembered]:
            del self._accounts[party]
