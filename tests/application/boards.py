"""A job board to test, and work for it."""

import threading
import time
from collections.abc import Callable

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job, JobState, Meters
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue

PATIENCE = 10.0


class Work:
    """Work that goes on, step by step, until it is let end. Counts how often it was begun."""

    def __init__(self, *, open: bool = False) -> None:
        self.begun = 0
        self.reached, self.end = threading.Event(), threading.Event()
        self.error: Exception | None = None
        if open:
            self.end.set()

    def __call__(self, job: Job) -> int:
        self.begun += 1
        job.begin_batch("batch", 0, 1, [4])
        job.observe(1, 4, lambda: None)
        job.observe(2, 4, lambda: None)
        self.reached.set()
        while not job.cancelled() and not self.end.wait(0.005):
            pass
        job.interrupted |= job.cancelled()
        if self.error:
            raise self.error
        return self.begun

    def order(self, id: str | None = "a", kind: str = "txt2img", **fields: object) -> Order[int]:
        return Order(
            kind,
            id,
            {"prompt": "a cat", "steps": 4, **fields},
            make=self,
            encode=lambda made: [f"result {made}".encode()],
            explain=lambda error: f"{type(error).__name__}: {error}".encode(),
        )


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def make_board(store=None, clock=time.time, slots=1, max_waiting=8, meters=None, **more):
    queue = JobQueue(clock, slots, max_waiting, meters or Meters())
    return JobBoard(queue, store or MemoryJobs(), clock, **more)


def start(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run in a thread; the list gets what came of it, be it an error."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def over(board: JobBoard, id: str, owner: str | None = None) -> JobState:
    wait_for(lambda: board.status(id, owner).over)
    return board.status(id, owner).state
