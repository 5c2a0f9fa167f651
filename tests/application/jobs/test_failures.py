"""Jobs that fail with nobody waiting are in the log, with their reason."""

import logging
import time

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.failures import log_failure
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.domain.errors import (
    CheckpointError,
    InvalidRequest,
    JobCancelled,
    OutOfMemory,
    ServerStopping,
)

LOGGER = "hexfusion.jobs"
LONG = 30


@pytest.mark.parametrize(
    ("error", "level", "words", "traced"),
    [
        (JobCancelled("job a was cancelled"), "INFO", "was stopped: JobCancelled", False),
        (ServerStopping(), "INFO", "was stopped: ServerStopping", False),
        (InvalidRequest("width", "too wide"), "WARNING", "failed: InvalidRequest: width", False),
        (CheckpointError("a.ckpt", "is damaged"), "WARNING", "a.ckpt: is damaged", False),
        (OutOfMemory("1 picture", "5 GiB"), "WARNING", "not enough memory", False),
        (MemoryError(), "WARNING", "MemoryError", False),
        (KeyError("a"), "ERROR", "KeyError: 'a'", True),
        (RuntimeError("a\nERROR root: forged"), "ERROR", "a\\nERROR root: forged", True),
        (ExceptionGroup("two", [ValueError("a")]), "ERROR", "ExceptionGroup", True),
        (InvalidRequest("prompt", "x" * 10_000), "WARNING", "characters more)", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_by_its_kind(caplog, error, level, words, traced) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    log_failure("job\n1", error)
    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage().startswith("job job\\n1 ")
    assert words in record.getMessage()
    assert bool(record.exc_info) is traced
    assert len(record.getMessage()) < 800


def test_a_job_of_nobody_that_fails_is_told(caplog) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    board = JobBoard(JobQueue(time.time), MemoryJobs(), time.time)

    def make(job):
        raise ZeroDivisionError("at step 3")

    order = Order("txt2img", "mine", {}, make, lambda made: b"", lambda error: b"{}")
    board.submit(order, owner=None, new_id="new")
    until = time.monotonic() + LONG
    while not caplog.records and time.monotonic() < until:
        time.sleep(0.01)
    (record,) = caplog.records
    assert record.getMessage() == "job mine failed: ZeroDivisionError: at step 3"
    assert record.exc_info
