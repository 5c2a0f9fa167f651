"""How many of a few places one party may hold: so that others always find some.

A *party* is who shares with others: a user, or where nobody logs in the network address that a
request came from. Callers in Python are of no party (""), and have no share. Places are those in
the queue, those of watchers, of requests that wait for a checkpoint to load, and of downloads.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Allotment:
    """`places` in all, of which one party may hold `each`; the last `spare` are for parties that
    hold none."""

    places: int
    each: int
    spare: int = 0

    def full(self, held: Mapping[str, int]) -> bool:
        """Whether all places are taken. `held` has the number that each party holds."""
        return sum(held.values()) >= self.places

    def exceeded(self, held: Mapping[str, int], party: str) -> bool:
        """Whether the party has its share, so that a place that is free is not for it."""
        if not party:
            return False
        mine, free = held.get(party, 0), self.places - sum(held.values())
        return mine >= self.each or (mine > 0 and free <= self.spare)


def shared(places: int, each: int = 0) -> Allotment:
    """Places of which one party may hold `each`; 0: three quarters, at least one.

    An eighth, rounded down, is for parties that hold none: what the first leaves, a second cannot
    take alone. Where one party may hold all, nothing is for others.
    """
    each = each or max(1, places * 3 // 4)
    return unshared(places) if each >= places else Allotment(places, each, places // 8)


def unshared(places: int) -> Allotment:
    """Places that one party may take all."""
    return Allotment(places, places)
