"""Waiting for a turn, and what may go wrong meanwhile: in the backend, at the client, in meters."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from hexfusion.application.jobs.job import Job, JobState, Meters
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.domain.errors import JobCancelled, ServerStopping
from tests.application.boards import PATIENCE, make_board, wait_for


class Gone(BaseException):
    """No `Exception`, as KeyboardInterrupt and SystemExit are none."""


def a_job(id: str, **more) -> Job:
    return Job("txt2img", time.time, id, **more)


def waits(queue: JobQueue, job: Job) -> tuple[threading.Thread, list[object]]:
    """A thread that takes the job's turn, and what came of it."""
    outcome: list[object] = []

    def work() -> None:
        try:
            with queue.admit(job):
                outcome.append("had its turn")
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


class Hinge:
    """A callable that raises what it is told to, once somebody says so."""

    def __init__(self, error: BaseException | None = None, answer: object = ()) -> None:
        self.error, self.answer = error, answer
        self.open = threading.Event()

    def __call__(self):
        if self.open.is_set() and self.error is not None:
            raise self.error
        return self.answer


ERRORS = [RuntimeError("CUDA error"), KeyboardInterrupt(), SystemExit(), Gone()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_backend_that_fails_takes_the_job_that_asked_it_out_of_the_queue(error):
    backend = Hinge(error)
    queue = JobQueue(time.time, ready=backend)
    first, second = a_job("first"), a_job("second", models=("a",))
    with queue.admit(a_job("running")):
        one, came_of_one = waits(queue, first)
        wait_for(lambda: queue.waiting() == [first])
        queue.enter(second)  # a thread comes for it later
        backend.open.set()
    one.join(PATIENCE)
    assert came_of_one == [error]
    assert (first.state, queue.waiting(), queue.running()) == (JobState.FAILED, [second], [])
    with queue.turn(second):
        assert queue.running() == [second]
    with queue.admit(a_job("third")) as third:
        assert queue.running() == [third]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_client_check_that_fails_takes_its_job_out_of_the_queue(error):
    client = Hinge(error, answer=False)
    metered = []
    queue = JobQueue(time.time, meters=Meters(job=metered.append))
    failing, next_one = a_job("failing", abandoned=client), a_job("next")
    with queue.admit(a_job("running")):
        thread, outcome = waits(queue, failing)
        wait_for(lambda: queue.waiting() == [failing])
        other, came_of_other = waits(queue, next_one)
        wait_for(lambda: len(queue.waiting()) == 2)
        client.open.set()
        thread.join(PATIENCE)
        assert outcome == [error]
        assert queue.waiting() == [next_one]
    other.join(PATIENCE)
    assert came_of_other == ["had its turn"]
    assert (failing.state, failing.started_at) == (JobState.FAILED, None)
    assert [job.id for job in metered] == ["failing", "running", "next"]


def test_a_signal_while_a_job_waits_leaves_nothing_in_the_queue():
    """Ctrl-C of a Python caller, who waits in the main thread."""

    def heard(number, frame):
        raise KeyboardInterrupt

    def interrupt():
        wait_for(lambda: queue.waiting() == [mine])
        os.kill(os.getpid(), signal.SIGUSR1)

    queue, mine = JobQueue(time.time), a_job("mine")
    before = signal.signal(signal.SIGUSR1, heard)
    try:
        thread = threading.Thread(target=interrupt)
        with queue.admit(a_job("running")):
            thread.start()
            with pytest.raises(KeyboardInterrupt), queue.admit(mine):
                raise AssertionError("it must not run")
            assert (queue.waiting(), mine.state) == ([], JobState.FAILED)
        thread.join(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with queue.admit(a_job("next")) as job:
        assert queue.running() == [job]


def test_a_job_on_the_board_fails_with_its_client_check_and_the_next_is_done():
    client = Hinge(RuntimeError("the socket is broken"), answer=False)
    client.open.set()
    board = make_board()
    order = _order("a")
    with pytest.raises(RuntimeError, match="socket"):
        board.perform(order, abandoned=client)
    assert not board.busy
    assert board.perform(_order("b")).body == b"made"


def _order(id: str):
    return Order(
        "txt2img",
        id,
        {},
        make=lambda job: b"made",
        encode=lambda made: [made],
        explain=lambda error: str(error).encode(),
    )


class NeedsQueue:
    """Something foreign that can only answer once another thread has got at the queue: as a
    backend whose lock is held by who is just about to look at the queue."""

    def __init__(self) -> None:
        self.queue: JobQueue | None = None
        self.answers: list[bool] = []

    def look(self) -> bool:
        looked = threading.Event()

        def look() -> None:
            assert self.queue is not None
            self.queue.waiting()
            looked.set()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        self.answers.append(looked.wait(PATIENCE / 5))
        return self.answers[-1]


def test_the_backend_is_not_asked_under_the_lock():
    backend = NeedsQueue()

    def ready():
        backend.look()
        return ("a",)

    backend.queue = queue = JobQueue(time.time, ready=ready)
    jobs = [a_job("first", models=("b",)), a_job("second", models=("a",))]
    with queue.admit(a_job("running")):
        threads = []
        for job in jobs:
            threads.append(waits(queue, job)[0])
            wait_for(lambda job=job: job in queue.waiting())
    for thread in threads:
        thread.join(PATIENCE)
    assert [job.state for job in jobs] == [JobState.DONE] * 2
    assert backend.answers and all(backend.answers)
    assert jobs[0].overtaken == 1  # what the backend said was heeded


def test_clients_are_not_asked_under_the_lock():
    client = NeedsQueue()

    def abandoned() -> bool:
        client.look()
        return False

    client.queue = queue = JobQueue(time.time)
    with queue.admit(a_job("running")):
        thread, outcome = waits(queue, a_job("mine", abandoned=abandoned))
        wait_for(lambda: client.answers)
    thread.join(PATIENCE)
    assert outcome == ["had its turn"]
    assert all(client.answers)


def _cancel(queue: JobQueue, job: Job) -> None:
    queue.cancel(job)


def _stop(queue: JobQueue, job: Job) -> None:
    queue.stop(1000)


def _interrupt_all(queue: JobQueue, job: Job) -> None:
    queue.interrupt_all()


@pytest.mark.parametrize("end", [_cancel, _stop, _interrupt_all])
def test_meters_are_not_told_under_the_lock(end: Callable[[JobQueue, Job], None]):
    meter, metered = NeedsQueue(), []

    def told(job: Job) -> None:
        meter.look()
        metered.append(job.id)

    meter.queue = queue = JobQueue(time.time, meters=Meters(job=told))
    mine = a_job("mine")
    with queue.admit(a_job("running")):
        queue.enter(mine)
        end(queue, mine)
        assert mine.state is JobState.CANCELLED
        assert metered == ["mine"]
        with pytest.raises((JobCancelled, ServerStopping)), queue.turn(mine):
            raise AssertionError("it must not run")
    assert metered == ["mine", "running"]
    assert all(meter.answers)


def test_a_slow_backend_holds_up_no_reader_and_no_cancel():
    go, asked = threading.Event(), threading.Event()

    def ready():
        asked.set()
        assert go.wait(PATIENCE)
        return ()

    queue = JobQueue(time.time, ready=ready)
    jobs = [a_job("first"), a_job("second")]
    with queue.admit(a_job("running")):
        taken = []
        for job in jobs:
            taken.append(waits(queue, job))
            wait_for(lambda job=job: job in queue.waiting())
    assert asked.wait(PATIENCE)
    queue.cancel(jobs[0])
    assert queue.waiting() == [jobs[1]]
    assert jobs[0].state is JobState.CANCELLED
    go.set()
    for thread, _ in taken:
        thread.join(PATIENCE)
    (came_of_first,), (came_of_second,) = (outcome for _, outcome in taken)
    assert isinstance(came_of_first, JobCancelled)
    assert came_of_second == "had its turn"
