"""Jobs by their ids: done once, each login's own, to the end (docs/adr/0009)."""

import contextlib
import dataclasses
import gc
import threading
import time
import weakref

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.acceptance import Acceptance
from hexfusion.application.jobs.board import MAX_ID, JobBoard
from hexfusion.application.jobs.job import Job, JobState
from hexfusion.application.jobs.orders import Entry
from hexfusion.domain.errors import (
    InvalidRequest,
    JobCancelled,
    JobConflict,
    NotFound,
    ServerStopping,
)
from tests.application.boards import PATIENCE, Work, make_board, over, start, wait_for


@pytest.fixture
def board() -> JobBoard:
    return make_board()


class Ending(Job):
    """It ends between the first time that its state is read and the next."""

    ends = False

    @property
    def state(self) -> JobState:
        now, self._state = self._state, JobState.DONE if self.ends else self._state
        return now

    @state.setter
    def state(self, state: JobState) -> None:
        self._state = state


def test_a_job_that_ends_while_it_is_looked_at_is_not_done_before_its_result_is_kept(board):
    """Who watches would hear of its end, ask for the result, and find none."""
    work = Work()
    entry = Entry(work.order(), time.time, None, "a", Acceptance(MemoryJobs()))
    entry.job = Ending("txt2img", time.time, "a")
    entry.job.enter(JobState.RUNNING)
    entry.job.ends = True
    for _ in range(3):
        status = board.status_of(entry)
        assert (status.state, status.over) == (JobState.RUNNING, False)


# One id, one job.


def test_the_same_request_under_the_same_id_is_done_once(board):
    work = Work(open=True)
    first = board.perform(work.order())
    again = board.perform(work.order())
    assert (first.body, first.replayed) == (b"result 1", False)
    assert (again.id, again.body, again.replayed) == ("a", b"result 1", True)
    assert work.begun == 1


def test_many_who_ask_at_once_get_the_one_result(board):
    work = Work()
    asked = [start(lambda: board.perform(work.order())) for _ in range(5)]
    assert work.reached.wait(PATIENCE)
    time.sleep(0.05)
    work.end.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    outcomes = [outcome for _, (outcome,) in asked]
    assert {each.body for each in outcomes} == {b"result 1"}
    assert [each.replayed for each in outcomes].count(False) == 1
    assert work.begun == 1


def test_they_get_the_one_error_too(board):
    work = Work()
    work.error = ValueError("no")
    asked = [start(lambda: board.perform(work.order())) for _ in range(2)]
    assert work.reached.wait(PATIENCE)
    time.sleep(0.05)
    work.end.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    assert [outcome for _, (outcome,) in asked] == [work.error, work.error]


def test_another_request_of_that_id_is_refused_while_the_first_is_under_way(board):
    work = Work()
    board.submit(work.order())
    for other, field in (
        (work.order(steps=5), "steps"),
        (work.order(seed=1), "seed"),
        (work.order(kind="img2img"), "kind"),
    ):
        for ask in (board.perform, board.submit):
            with pytest.raises(JobConflict) as refused:
                ask(other)
            assert refused.value.field == field
    work.end.set()


def test_and_is_a_new_job_once_the_first_is_over(board):
    """Spec api.md 4: with A1111 an id may be used again. Clients that always send one depend on
    it."""
    first, second = Work(open=True), Work(open=True)
    board.perform(first.order(prompt="a cat"))
    outcome = board.perform(second.order(prompt="a dog"))
    assert (outcome.replayed, second.begun) == (False, 1)
    assert board.perform(second.order(prompt="a dog")).replayed
    assert not board.perform(first.order(prompt="a cat")).replayed


def test_what_failed_is_tried_again(board):
    work = Work(open=True)
    work.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        board.perform(work.order())
    assert board.status("a").state is JobState.FAILED
    assert board.body("a") == b"ValueError: no"
    work.error = None
    assert board.perform(work.order()).body == b"result 2"


def test_what_was_interrupted_is_done_again_when_it_is_over(board):
    work = Work()
    board.submit(work.order())
    assert work.reached.wait(PATIENCE)
    holding = threading.Event()
    job = board._live[None, "a"].job
    job.interrupted = True  # as `/interrupt` sets it; the work hears of it
    thread, outcome = start(lambda: (holding.set(), board.perform(work.order()))[1])
    assert holding.wait(PATIENCE)
    work.end.set()
    thread.join(PATIENCE)
    assert outcome[0].body == b"result 2"
    assert not outcome[0].replayed


def test_who_joined_before_an_interrupt_gets_what_there_is(board):
    work = Work()
    asked = [start(lambda: board.perform(work.order())) for _ in range(2)]
    assert work.reached.wait(PATIENCE)
    wait_for(lambda: board._watchers.total() == 1)
    board.cancel("a")
    for thread, _ in asked:
        thread.join(PATIENCE)
    assert {outcome.body for _, (outcome,) in asked} == {b"result 1"}
    assert work.begun == 1


def test_a_job_goes_on_while_any_client_wants_it(board):
    work = Work()
    gone = threading.Event()
    first, _ = start(lambda: board.perform(work.order(), abandoned=gone.is_set))
    assert work.reached.wait(PATIENCE)
    second, other = start(lambda: board.perform(work.order()))
    wait_for(lambda: board._watchers.total() == 1)
    gone.set()
    time.sleep(0.05)
    assert board.status("a").state is JobState.RUNNING
    work.end.set()
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert other[0].body == b"result 1"


def test_and_stops_when_none_does(board):
    work = Work()
    gone = threading.Event()
    asked = [start(lambda: board.perform(work.order(), abandoned=gone.is_set)) for _ in range(2)]
    wait_for(lambda: board._watchers.total() == 1)
    gone.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    assert board.status("a").state is JobState.CANCELLED
    assert not board.busy
    assert board._watchers.total() == 0


def test_jobs_without_an_id_are_each_their_own_and_leave_nothing_behind(board):
    work = Work(open=True)
    ids = {board.perform(work.order(None)).id for _ in range(3)}
    assert (len(ids), work.begun) == (3, 3)
    assert board.statuses() == []


def test_an_endless_id_is_refused(board):
    with pytest.raises(InvalidRequest, match="force_task_id"):
        board.perform(Work(open=True).order("x" * (MAX_ID + 1)))


# Whose they are.


def test_nobody_sees_or_stops_or_gets_what_another_login_asked_for(board):
    anns, bobs = Work(), Work(open=True)
    board.submit(anns.order(), owner="ann")
    assert anns.reached.wait(PATIENCE)
    for ask in (board.status, board.body, board.cancel, board.watch):
        for other in ("bob", None):
            with pytest.raises(NotFound):
                ask("a", other)
    thread, outcome = start(lambda: board.perform(bobs.order(steps=9), owner="bob"))
    anns.end.set()
    thread.join(PATIENCE)
    assert not outcome[0].replayed
    over(board, "a", "ann")
    assert board.perform(anns.order(), owner="ann").replayed
    assert [each.id for each in board.statuses("bob")] == ["a"]
    board.cancel("a", "bob")
    assert board.status("a", "ann").state is JobState.DONE


# The end.


def test_a_stop_delivers_what_runs_and_sends_away_what_waits(board):
    work, late = Work(), Work(open=True)
    board.submit(work.order("a"))
    assert work.reached.wait(PATIENCE)
    thread, outcome = start(lambda: board.perform(late.order("b")))
    wait_for(lambda: board._live.get((None, "b")))
    board.stop(0)
    thread.join(PATIENCE)
    assert isinstance(outcome[0], ServerStopping)
    wait_for(lambda: not board.busy)
    assert board.status("a").state is JobState.CANCELLED
    assert board.body("a") == b"result 1"
    assert board.status("b").state is JobState.CANCELLED
    with pytest.raises(ServerStopping):
        board.submit(work.order("c"))
    assert late.begun == 0


def test_a_client_that_leaves_while_another_does_its_job_frees_its_thread(board):
    work = Work()
    board.submit(work.order())
    gone = threading.Event()
    thread, outcome = start(lambda: board.perform(work.order(), abandoned=gone.is_set))
    wait_for(lambda: board._watchers.total() == 1)
    gone.set()
    thread.join(PATIENCE)
    assert isinstance(outcome[0], JobCancelled)
    assert board.status("a").state is JobState.RUNNING
    work.end.set()
    assert over(board, "a") is JobState.DONE


@pytest.mark.parametrize("fails", [False, True])
def test_what_an_order_holds_goes_with_its_job(board, fails):
    """At once, not when cycles are looked for: it may be hundreds of megabytes of pictures."""

    class Pictures:
        def __call__(self, job):
            return work(job)

    work = Work(open=True)
    work.error = ValueError("no") if fails else None
    pictures = Pictures()
    gone = weakref.ref(pictures)
    order = dataclasses.replace(work.order(), make=pictures)
    del pictures
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            board.perform(order)
        work.error = None
        del order
        assert gone() is None
    finally:
        gc.enable()
