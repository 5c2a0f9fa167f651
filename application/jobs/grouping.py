"""Whose turn is next: jobs for the checkpoints in memory first, within bounds.

First come, first served makes a server load a checkpoint for every job when two clients use two of
them in turn. So a job whose checkpoints are there may overtake others, but none is overtaken more
than so many times, nor once so many seconds have gone by since the first time. See docs/adr/0018.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Grouping:
    """How often, and for how long, a waiting job may be overtaken. Where one is 0: never."""

    overtakes: int = 8
    seconds: float = 60.0


GROUPING = Grouping()


class Waiting(Protocol):
    """A job in the queue: `models` are files of checkpoints, `overtaken_at` the first time."""

    models: Collection[str]
    overtaken: int
    overtaken_at: float | None


W = TypeVar("W", bound=Waiting)


def next_of(waiting: Sequence[W], ready: Collection[str], grouping: Grouping, now: float) -> W:
    """The job to run next; `waiting` is in order of arrival and not empty, `ready` in memory.

    It is the first, unless that one would have a checkpoint loaded, may be overtaken, and behind it
    is one that would not: then the first of those. Jobs that use no checkpoint are not preferred,
    since nothing is won by it. Jobs for the same checkpoints so stay in their order, and none has
    been overtaken more often than one that came before it: asking the first is enough.
    """
    first = waiting[0]
    if _there(first, ready) or not _may_be_overtaken(first, grouping, now):
        return first
    return next((job for job in waiting if job.models and _there(job, ready)), first)


def note_overtaken(ahead: Sequence[Waiting], now: float) -> None:
    """Those before a job that takes its turn are overtaken once more."""
    for job in ahead:
        job.overtaken += 1
        if job.overtaken_at is None:
            job.overtaken_at = now


def _there(job: Waiting, ready: Collection[str]) -> bool:
    return all(model in ready for model in job.models)


def _may_be_overtaken(job: Waiting, grouping: Grouping, now: float) -> bool:
    late = 0.0 if job.overtaken_at is None else now - job.overtaken_at
    return job.overtaken < grouping.overtakes and late < grouping.seconds
