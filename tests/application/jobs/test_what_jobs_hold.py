"""What an order holds goes with its job, at once: it may be hundreds of megabytes of pictures.

Not when cycles are looked for: a few objects are no reason for Python to look.
"""

import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import Iterator

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.job import JobState
from hexfusion.application.jobs.orders import Order
from hexfusion.application.ports.jobs import JobRequest
from tests.application.boards import PATIENCE, Work, make_board, over, start, wait_for


class Pictures(list):
    """Something that can be referred to weakly."""


class Holder:
    """Work that holds pictures, in its closure and in the frames of what it calls."""

    def __init__(self, work: Work, error: Exception | None = None, encodes: bool = True) -> None:
        self.work = work
        self.error = error
        self.encodes = encodes

    def order(self, id: str | None = "a") -> tuple[Order, weakref.ref]:
        pictures, work, error, encodes = Pictures(), self.work, self.error, self.encodes

        def deeper(pictures: Pictures) -> None:
            if error is not None:
                try:
                    raise KeyError("inside")
                except KeyError as inner:
                    raise type(error)(*error.args) from inner

        def make(job):
            made = Pictures(pictures)
            work(job)
            deeper(made)
            return made

        def encode(made: Pictures) -> Iterator[bytes]:
            yield b"{"
            if not encodes:
                raise ValueError(f"{len(made)} pictures cannot be encoded")
            yield b"}"

        plain = work.order(id)
        fields = {"init_images": pictures}
        order = Order("img2img", id, fields, make, encode, plain.explain)
        return order, weakref.ref(pictures)


@pytest.fixture(autouse=True)
def nobody_looks_for_cycles():
    gc.collect()
    logging.disable()  # the handlers of tests keep what they are given
    gc.disable()
    yield
    gc.enable()
    logging.disable(logging.NOTSET)


REQUEST = JobRequest("/sdapi/v1/img2img", b"{}")

ENDS = {
    "done": (None, True, JobState.DONE),
    "failed": (ValueError("no"), True, JobState.FAILED),
    "failed as it expects to": (MemoryError("no"), True, JobState.FAILED),
    "not encoded": (None, False, JobState.FAILED),
}


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_of_a_job_left_to_the_server(end, durable):
    error, encodes, state = ENDS[end]
    board = make_board(MemoryJobs(durable=durable))
    order, gone = Holder(Work(open=True), error, encodes).order()
    board.submit(order, request=REQUEST)
    del order
    assert over(board, "a") is state
    wait_for(lambda: gone() is None)


@pytest.mark.parametrize("end", ENDS)
def test_of_a_job_that_is_waited_for(end):
    error, encodes, _ = ENDS[end]
    board = make_board()
    order, gone = Holder(Work(open=True), error, encodes).order()
    with contextlib.suppress(ValueError, MemoryError):
        board.perform(order)
    del order
    assert gone() is None


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("first", ["waits", "leaves"])
def test_of_a_job_that_others_joined(end, first):
    error, encodes, _ = ENDS[end]
    board, work = make_board(MemoryJobs(durable=True)), Work()
    holder = Holder(work, error, encodes)
    order, gone = holder.order()
    refs = [gone]
    threads = []

    def ask() -> None:
        asked, ref = holder.order()
        refs.append(ref)
        with contextlib.suppress(ValueError, MemoryError):
            board.perform(asked)

    if first == "waits":

        def perform(box: list) -> None:
            with contextlib.suppress(ValueError, MemoryError):
                board.perform(box.pop())

        threads.append(start(lambda box=[order]: perform(box))[0])
    else:
        board.submit(order, request=REQUEST)
    del order
    assert work.reached.wait(PATIENCE)
    threads += [start(ask)[0] for _ in range(2)]
    wait_for(lambda: board._watchers.total() == 2)
    late, ref = holder.order()
    refs.append(ref)
    board.submit(late, request=REQUEST)  # one more, that does not wait
    del late
    watch = board.watch("a")
    work.end.set()
    for thread in threads:
        thread.join(PATIENCE)
    over(board, "a")
    wait_for(lambda: not any(ref() for ref in refs))
    watch.close()  # who watches holds none of it either


@pytest.mark.parametrize("waited_for", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_of_a_job_that_is_cancelled_while_it_waits(waited_for, watched):
    board, busy = make_board(), Work()
    board.submit(busy.order("first"))
    assert busy.reached.wait(PATIENCE)
    order, gone = Holder(Work()).order()
    if waited_for:
        thread, _ = start(lambda box=[order]: board.perform(box.pop()))
        wait_for(lambda: (None, "a") in board._live)
    else:
        board.submit(order)
    del order
    watch = board.watch("a") if watched else None
    board.cancel("a")
    if waited_for:
        thread.join(PATIENCE)
        _.clear()  # the error, which the thread's client has got
        del thread
    assert over(board, "a") is JobState.CANCELLED
    wait_for(lambda: gone() is None)
    busy.end.set()
    if watch:
        assert watch.status().state is JobState.CANCELLED
        watch.close()


@pytest.mark.parametrize("end", ENDS)
def test_of_a_job_that_is_cancelled_while_it_runs(end):
    error, encodes, _ = ENDS[end]
    board, work = make_board(), Work()
    order, gone = Holder(work, error, encodes).order()
    board.submit(order)
    del order
    assert work.reached.wait(PATIENCE)
    board.cancel("a")
    over(board, "a")
    wait_for(lambda: gone() is None)


def test_of_a_job_whose_clients_leave():
    board, work, left = make_board(), Work(), threading.Event()
    order, gone = Holder(work).order()
    thread, outcome = start(lambda box=[order]: board.perform(box.pop(), abandoned=left.is_set))
    del order
    assert work.reached.wait(PATIENCE)
    left.set()
    thread.join(PATIENCE)
    outcome.clear()
    del thread
    wait_for(lambda: gone() is None)


def test_of_a_job_whose_place_was_refused():
    board, work = make_board(max_waiting=0), Work()
    board.submit(work.order("first"))
    order, gone = Holder(Work()).order("b")
    with contextlib.suppress(Exception):
        board.submit(order)
    del order
    assert gone() is None
    work.end.set()


def test_of_many_that_fail_nothing_is_left():
    """One that stays would be 256 MB."""
    board = make_board()
    refs = []
    for number in range(20):
        order, gone = Holder(Work(open=True), ValueError("no")).order(str(number))
        refs.append(gone)
        board.submit(order)
        del order
        over(board, str(number))
    wait_for(lambda: not any(ref() for ref in refs))
