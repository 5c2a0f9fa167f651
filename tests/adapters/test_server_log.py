"""The server's log: one line an event, and no flood."""

import io
import logging
import threading
from collections.abc import Callable

import pytest

from hexfusion.adapters.server_log import ServerLog


class Clock:
    """A clock that stands, and what is to be done later."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pending: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self.pending.append(work)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(clock: Clock, stream: io.StringIO):
    handler = ServerLog(3, stream, clock=clock, later=clock.later)
    logger = logging.getLogger("hexfusion.test_server_log")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


NAME = "hexfusion.test_server_log"


def test_a_line(log, stream) -> None:
    log.info("ready: %s", "http://x")
    assert stream.getvalue() == f"INFO {NAME}: ready: http://x\n"


@pytest.mark.parametrize("evil", ["a\nERROR root: forged", "\x1b[2J", "a\rb", "\u2028", "\x00"])
def test_a_message_is_one_line(log, stream, evil) -> None:
    log.warning("%s", evil)
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue()[:-1].isprintable()


def test_a_traceback_is_indented_and_cannot_be_forged(log, stream) -> None:
    try:
        raise KeyError("a\nINFO root: forged\x1b[2J")
    except KeyError:
        log.exception("failed")
    try:
        raise ValueError("first\nERROR root: forged\x1b[2J")
    except ValueError:
        log.exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first == f"ERROR {NAME}: failed"
    assert "Traceback" in stream.getvalue()
    assert all(line.startswith(("    ", f"ERROR {NAME}: ")) for line in rest)
    assert "\x1b" not in stream.getvalue()


def test_what_is_long_is_cut(log, stream) -> None:
    log.warning("x" * 10**6)

    def deep(level: int) -> None:
        if not level:
            raise ValueError
        (deep if level % 2 else other)(level - 1)

    def other(level: int) -> None:
        deep(level)

    try:
        deep(400)
    except ValueError:
        log.exception("deep")
    assert len(stream.getvalue()) < 60_000
    assert "lines more)" in stream.getvalue()


def test_a_flood_is_counted(log, stream, clock) -> None:
    for number in range(1000):
        log.info("refused %d", number)
    assert stream.getvalue().count("\n") == 3
    clock.now += 1
    log.info("next")
    lines = stream.getvalue().splitlines()
    assert lines[3:] == [
        f"WARNING {NAME}: 997 more lines within a second were left out (--log-lines)",
        f"INFO {NAME}: next",
    ]


def test_a_flood_is_told_though_nothing_follows(log, stream, clock) -> None:
    for _ in range(10):
        log.info("x")
    (settle,) = clock.pending
    settle()
    assert "7 more lines" in stream.getvalue()
    settle()
    assert stream.getvalue().count("more lines") == 1


def test_a_flood_of_one_part_hides_no_other(log, stream) -> None:
    other = log.getChild("other")
    for _ in range(10):
        log.info("x")
    other.error("heard")
    assert stream.getvalue().splitlines()[-1] == f"ERROR {NAME}.other: heard"


def test_each_second_has_its_lines(log, stream, clock) -> None:
    for _ in range(5):
        for _ in range(3):
            log.info("x")
        clock.now += 1
    assert stream.getvalue().count(": x") == 15
    assert "left out" not in stream.getvalue()


def test_closing_tells_the_rest(stream, clock) -> None:
    handler = ServerLog(1, stream, clock=clock, later=clock.later)
    for _ in range(3):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, "x", None, None))
    handler.close()
    assert "2 more lines" in stream.getvalue()


def test_many_threads_lose_no_line_uncounted(stream, clock) -> None:
    handler = ServerLog(50, stream, clock=clock, later=clock.later)
    record = logging.LogRecord("a", logging.INFO, "", 0, "x", None, None)

    def flood() -> None:
        for _ in range(500):
            handler.handle(record)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    handler.close()
    assert stream.getvalue().count("INFO a: x") == 50
    assert "3950 more lines" in stream.getvalue()


def test_the_clock_of_the_system_is_the_default(stream) -> None:
    handler = ServerLog(1, stream)
    for _ in range(3):
        handler.handle(logging.LogRecord("a", logging.INFO, "", 0, "x", None, None))
    handler.close()
    assert "INFO a: x" in stream.getvalue()
