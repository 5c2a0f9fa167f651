"""Chooses the next job of the queue: jobs whose checkpoints are in memory may go first.

If two clients use two checkpoints alternately, taking turns would load a checkpoint for every job.
So a job whose checkpoints are in memory may overtake others. How often a job can be overtaken, and
for how long after the first time, is bounded (`Grouping`). See docs/adr/0018 and 0025.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Grouping:
    """Bounds on overtaking: a waiting job is overtaken at most `overtakes` times, and only within
    `seconds` after the first time. If either is 0, never."""

    overtakes: int = 8
    seconds: float = 60.0


GROUPING = Grouping()


class Waiting(Protocol):
    """A job in the queue.

    `party` is whose job it is. `models` are the paths of the checkpoints it uses, `overtaken`
    counts how often it was overtaken, `overtaken_at` is the time of the first, None before.
    """

    party: str
    models: Collection[str]
    overtaken: int
    overtaken_at: float | None


W = TypeVar("W", bound=Waiting)


def next_of(waiting: Sequence[W], ready: Collection[str], grouping: Grouping, now: float) -> W:
    """The job to run next.

    `waiting` is in the order of turns and not empty, a party's own jobs in order of arrival;
    `ready` are the paths of checkpoints in memory; `now` is in the seconds of `overtaken_at`.

    That is the first job, unless it needs a checkpoint loaded: then the first behind it that needs
    none, and overtakes none that may not be overtaken. Jobs that use no checkpoint never overtake,
    since that saves no load.
    """
    first = waiting[0]
    if _there(first, ready) or not _may_be_overtaken(first, grouping, now):
        return first
    for job in waiting:
        if job.models and _there(job, ready):
            ahead = overtaken_by(job, waiting)
            if all(_may_be_overtaken(each, grouping, now) for each in ahead):
                return job
    return first


def overtaken_by(job: W, waiting: Sequence[W]) -> list[W]:
    """The jobs that `job` overtakes if it starts now: that whose turn it is, and those of its own
    party before it.

    Others are not overtaken: what runs is charged to its party, whose next turn is later for it.
    """
    place = waiting.index(job)
    first = waiting[0]
    return [each for each in waiting[:place] if each is first or each.party == job.party]


def note_overtaken(ahead: Sequence[Waiting], now: float) -> None:
    """Count one more overtaking for each job in `ahead`."""
    for job in ahead:
        job.overtaken += 1
        if job.overtaken_at is None:
            job.overtaken_at = now


def _there(job: Waiting, ready: Collection[str]) -> bool:
    return all(model in ready for model in job.models)


def _may_be_overtaken(job: Waiting, grouping: Grouping, now: float) -> bool:
    late = 0.0 if job.overtaken_at is None else now - job.overtaken_at
    return job.overtaken < grouping.overtakes and late < grouping.seconds
