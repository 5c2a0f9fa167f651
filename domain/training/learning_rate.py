"""Learning-rate schedules such as `0.01:10, 0.001:50`.

Gradient clipping values use the same syntax. Source: spec networks.md 5.3.
"""

import math
from collections.abc import Iterator, Sequence

import msgspec

from hexfusion.domain.errors import InvalidRequest

FIELD = "learn_rate"
TO_THE_END = -1


class Segment(msgspec.Struct, frozen=True):
    """`rate` is used while fewer than `end` steps are done."""

    rate: float
    end: int


def parse_learning_rate(
    schedule: str, max_steps: int, done: int = 0, field: str = FIELD
) -> tuple[Segment, ...]:
    """Parse a schedule; returns the segments that remain after `done` of `max_steps` steps.

    Raises `InvalidRequest`, naming `field`, for malformed text and if no segment remains.
    """
    segments = tuple(_segments(schedule, max_steps, done, field))
    if not segments:
        raise _invalid(field, schedule, "holds for no step that is left")
    return segments


def rate_changes(
    segments: Sequence[Segment], done: int = 0
) -> tuple[tuple[tuple[int, float], ...], int]:
    """((step, rate) for each step at which a rate starts), and the step at which training ends.

    Each segment is used for at least one step after the first, even if its end is already past, as
    in A1111.
    """
    step, changes = done, []
    for segment in segments:
        changes.append((step, segment.rate))
        step = max(step + 1, segment.end) if len(changes) > 1 else max(step, segment.end)
    return tuple(changes), step


def _segments(schedule: object, max_steps: int, done: int, field: str) -> Iterator[Segment]:
    if not isinstance(schedule, str):
        raise _invalid(field, schedule, "must be text")
    for entry in schedule.split(","):
        if not entry.strip():
            continue
        rate, *rest = entry.split(":")
        until = rest[0] if len(rest) == 1 else str(TO_THE_END)  # two colons and more are no step
        try:
            value, end = float(rate), int(until)
        except ValueError:
            raise _invalid(field, schedule, f"{entry.strip()!r} is not RATE or RATE:STEP") from None
        if not math.isfinite(value):
            raise _invalid(field, schedule, f"{rate.strip()!r} is not a finite rate")
        if end == TO_THE_END or end > max_steps:
            yield Segment(value, max_steps)
            return
        if end > done:
            yield Segment(value, end)


def _invalid(field: str, schedule: object, why: str) -> InvalidRequest:
    return InvalidRequest(field, f"Invalid learning rate schedule. {str(schedule)[:80]!r}: {why}")
