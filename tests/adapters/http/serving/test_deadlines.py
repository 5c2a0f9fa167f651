"""How long each phase of a connection may take."""

import pytest

from hexfusion.adapters.http.serving.deadlines import Deadlines, Overdue, Phase, State
from hexfusion.adapters.http.serving.limits import ConnectionLimits

LIMITS = ConnectionLimits(
    header_timeout=10, body_timeout=100, stall_timeout=20, least_rate=50, keep_alive=30, linger=5
)
ONE = object()


def first(states, seconds: int = 400) -> tuple[int, Overdue] | None:
    """When the first deadline is over, looking every second; `states` by second."""
    deadlines = Deadlines(LIMITS, 0.0)
    for now in range(seconds):
        if overdue := deadlines.check(float(now), states(now)):
            return now, overdue
    return None


@pytest.mark.parametrize(
    ("state", "after", "overdue"),
    [
        (State(Phase.IDLE), 10, Overdue.IDLE),
        (State(Phase.IDLE, served=1), 30, Overdue.IDLE),
        (State(Phase.HEAD, ONE), 10, Overdue.HEAD),
        (State(Phase.BODY, ONE), 20, Overdue.SLOW_BODY),
        (State(Phase.LINGER), 5, Overdue.LINGER),
    ],
)
def test_each_phase_has_its_time(state: State, after: int, overdue: Overdue) -> None:
    assert first(lambda now: state) == (after, overdue)


def test_a_request_may_be_answered_for_as_long_as_it_takes() -> None:
    assert first(lambda now: State(Phase.SERVED, ONE), 10_000) is None


def test_a_new_request_has_its_own_time() -> None:
    states = [State(Phase.HEAD, ONE, served=1), State(Phase.SERVED, ONE, served=1)]
    assert first(lambda now: states[now // 8 % 2]) is None
    assert first(lambda now: State(Phase.IDLE, now // 20, served=1 + now // 20)) is None


def test_blank_lines_are_no_requests() -> None:
    """Each pair of them is a header that ended, empty."""
    phases = [Phase.IDLE, Phase.HEAD]
    assert first(lambda now: State(phases[now % 2], now)) == (20, Overdue.IDLE)
    assert first(lambda now: State(phases[now % 2], now, served=1)) == (40, Overdue.IDLE)


def test_a_header_byte_by_byte_has_no_longer() -> None:
    """The slowloris: there is always something new, and never an end."""
    assert first(lambda now: State(Phase.HEAD, ONE, received=now)) == (10, Overdue.HEAD)


@pytest.mark.parametrize(
    ("rate", "after", "overdue"),
    [(0, 20, Overdue.SLOW_BODY), (49, 20, Overdue.SLOW_BODY), (50, 100, Overdue.BODY),
     (10_000, 100, Overdue.BODY)],
)  # fmt: skip
def test_a_body_must_get_on_and_end(rate: int, after: int, overdue: Overdue) -> None:
    got = first(lambda now: State(Phase.BODY, ONE, received=rate * now))
    assert got == (after, overdue)


def test_a_body_that_stops_in_the_middle_is_seen() -> None:
    got = first(lambda now: State(Phase.BODY, ONE, received=min(now, 45) * 1000))
    assert got == (80, Overdue.SLOW_BODY)  # the first span in which nothing came began at 60


@pytest.mark.parametrize("phase", [Phase.SERVED, Phase.IDLE, Phase.LINGER])
def test_a_reply_that_nobody_takes_is_given_up(phase: Phase) -> None:
    limits = ConnectionLimits(stall_timeout=3, least_rate=50)
    deadlines = Deadlines(limits, 0.0)
    seen = [deadlines.check(now, State(phase, pending=1, taken=now)) for now in range(4)]
    assert seen == [None, None, None, Overdue.SLOW_READER]


def test_a_reply_that_is_taken_slowly_but_taken_is_not() -> None:
    assert first(lambda now: State(Phase.SERVED, ONE, pending=1, taken=50 * now)) is None
    assert first(lambda now: State(Phase.SERVED, ONE, pending=1, taken=49 * now)) == (
        20,
        Overdue.SLOW_READER,
    )


def test_events_that_are_taken_as_they_come_may_be_as_rare_as_they_are() -> None:
    """A watcher of a quiet job: nothing is pending most of the time."""
    assert first(lambda now: State(Phase.SERVED, ONE, pending=now % 15 == 0, taken=now)) is None
