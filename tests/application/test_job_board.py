"""Jobs by their ids: done once, left behind, cancelled, kept for a while (docs/adr/0009)."""

import threading
import time
from collections.abc import Callable

import pytest

from adapters.storage.jobs_memory import MemoryJobs
from application.job_board import MAX_ID, JobBoard
from application.jobs import Job, JobQueue, JobState, Meters
from application.orders import Order
from application.ports.jobs import JobStoreError
from application.retention import Retention
from domain.errors import (
    InvalidRequest,
    JobCancelled,
    JobConflict,
    NotFound,
    QueueFull,
    ServerStopping,
    TooManyWatchers,
)

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
            encode=lambda made: f"result {made}".encode(),
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


@pytest.fixture
def board() -> JobBoard:
    return make_board()


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
    wait_for(lambda: board._watchers == 1)
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
    wait_for(lambda: board._watchers == 1)
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
    wait_for(lambda: board._watchers == 1)
    gone.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    assert board.status("a").state is JobState.CANCELLED
    assert not board.busy
    assert board._watchers == 0


def test_jobs_without_an_id_are_each_their_own_and_leave_nothing_behind(board):
    work = Work(open=True)
    ids = {board.perform(work.order(None)).id for _ in range(3)}
    assert (len(ids), work.begun) == (3, 3)
    assert board.statuses() == []


def test_an_endless_id_is_refused(board):
    with pytest.raises(InvalidRequest, match="force_task_id"):
        board.perform(Work(open=True).order("x" * (MAX_ID + 1)))


# Left behind, and watched.


def test_a_job_that_is_left_behind_is_done_and_kept(board):
    work = Work()
    status = board.submit(work.order(None), new_id="mine")
    assert (status.id, status.over) == ("mine", False)
    assert work.reached.wait(PATIENCE)
    status = board.status("mine")
    assert (status.state, status.position) == (JobState.RUNNING, None)
    assert (status.progress.step, status.progress.steps) == (1, 4)
    assert 0.2 < status.fraction < 0.3
    assert status.eta > 0
    work.end.set()
    assert over(board, "mine") is JobState.DONE
    done = board.status("mine")
    assert (done.kept, done.fraction, done.eta) == ("result", 1.0, 0.0)
    assert done.expires_at == done.finished_at + 3600
    assert board.body("mine") == b"result 1"


def test_who_polls_finds_a_job_whose_pictures_are_still_being_encoded(board):
    encoding, go = threading.Event(), threading.Event()

    def encode(made: int) -> bytes:
        encoding.set()
        assert go.wait(PATIENCE)
        return b"result"

    work = Work(open=True)
    plain = work.order()
    board.submit(Order("txt2img", "a", {}, work, encode, plain.explain))
    assert encoding.wait(PATIENCE)
    assert board.status("a").state is JobState.RUNNING  # there is nothing to fetch yet
    assert board.finished("a").state == "done"
    assert board.finished("a", "ann") is None
    go.set()
    assert over(board, "a") is JobState.DONE


def test_it_may_be_asked_for_again_and_waited_for(board):
    work = Work()
    board.submit(work.order())
    assert board.submit(work.order()).id == "a"
    thread, outcome = start(lambda: board.perform(work.order()))
    wait_for(lambda: board._watchers == 1)
    work.end.set()
    thread.join(PATIENCE)
    assert outcome[0].body == b"result 1"
    assert board.submit(work.order()).state is JobState.DONE
    assert work.begun == 1


def test_those_that_wait_know_their_places_and_leave_at_once(board):
    work = Work()
    for id in "abcd":
        board.submit(work.order(id))
    assert work.reached.wait(PATIENCE)
    assert [board.status(id).position for id in "abcd"] == [None, 1, 2, 3]
    assert [each.id for each in board.statuses()] == ["a", "b", "c", "d"]
    assert (board.status("c").fraction, board.status("c").eta) == (0, None)
    assert board.cancel("b").state is JobState.CANCELLED
    assert [board.status(id).position for id in "acd"] == [None, 1, 2]
    wait_for(lambda: board.status("b").kept == "error")  # its thread heard
    assert board.body("b").startswith(b"JobCancelled")
    work.end.set()
    assert [over(board, id) for id in "acd"] == [JobState.DONE] * 3
    assert work.begun == 3


def test_a_running_job_is_stopped_soon_and_a_finished_one_forgotten(board):
    work = Work()
    board.submit(work.order())
    assert work.reached.wait(PATIENCE)
    assert not board.cancel("a").over
    assert over(board, "a") is JobState.CANCELLED
    assert board.status("a").kept == "result"  # the pictures so far
    assert board.cancel("a").over
    for ask in (board.status, board.body, board.cancel, board.watch):
        with pytest.raises(NotFound):
            ask("a")


def test_a_full_queue_takes_no_job_in_either_way():
    board = make_board(max_waiting=0)
    work = Work()
    board.submit(work.order("a"))
    assert work.reached.wait(PATIENCE)
    for ask in (board.perform, board.submit):
        with pytest.raises(QueueFull):
            ask(work.order("b"))
    with pytest.raises(NotFound):
        board.status("b")
    work.end.set()
    over(board, "a")
    assert board.perform(work.order("b")).body == b"result 2"


def test_a_watcher_hears_of_every_change_until_the_end(board):
    work = Work()
    board.submit(work.order())
    assert work.reached.wait(PATIENCE)
    watch = board.watch("a")
    seen = watch.status().changes
    work.end.set()
    while not watch.status().over:
        seen = watch.wait(seen, PATIENCE)
    assert watch.status().state is JobState.DONE
    watch.close()
    watch.close()
    assert board._watchers == 0
    late = board.watch("a")
    assert late.status().state is JobState.DONE
    assert late.picture(1) is None


def test_watchers_hold_threads_so_there_are_only_so_many():
    board = make_board(max_watchers=2)
    work = Work()
    board.submit(work.order())
    watches = [board.watch("a"), board.watch("a")]
    with pytest.raises(TooManyWatchers):
        board.watch("a")
    with pytest.raises(TooManyWatchers):
        board.perform(work.order())
    watches[0].close()
    board.watch("a")
    work.end.set()


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


# How long they are kept.


def test_a_result_is_kept_for_the_stated_time():
    clock = Clock()
    board = make_board(clock=clock, retention=Retention(seconds=60))
    work = Work(open=True)
    board.perform(work.order())
    clock.ahead = 59
    assert board.perform(work.order()).replayed
    clock.ahead = 61
    with pytest.raises(NotFound):
        board.status("a")
    assert board.statuses() == []
    assert not board.perform(work.order()).replayed


def test_only_so_many_and_so_many_bytes_are_kept():
    store = MemoryJobs()
    board = make_board(store, retention=Retention(jobs=2))
    work = Work(open=True)
    for id in "abc":
        board.perform(work.order(id))
    assert [each.id for each in store.records()] == ["b", "c"]
    store = MemoryJobs()
    board = make_board(store, retention=Retention(bytes=20))
    for id in "abc":
        board.perform(work.order(id))
    assert sum(each.size for each in store.records()) <= 20
    assert [each.id for each in store.records()] == ["b", "c"]


def test_a_result_too_large_to_keep_is_told_and_who_waits_gets_it():
    board = make_board(retention=Retention(bytes=4))
    work = Work(open=True)
    assert board.perform(work.order()).body == b"result 1"
    with pytest.raises(NotFound):  # what tells it is longer than four bytes
        board.status("a")
    board = make_board(retention=Retention(bytes=100))
    order = work.order("b")
    long = Order("txt2img", "b", {}, work, lambda made: b"x" * 101, order.explain)
    board.submit(long)
    assert over(board, "b") is JobState.FAILED
    assert board.body("b") == b"ResultTooLarge: the result has 101 bytes, and at most 100 are kept"


class FullDisk(MemoryJobs):
    def put(self, record, body):
        raise JobStoreError("no space")


def test_a_store_that_fails_costs_the_record_and_nothing_else():
    board = make_board(FullDisk())
    work = Work(open=True)
    assert board.perform(work.order()).body == b"result 1"
    assert board.perform(work.order()).body == b"result 2"
    assert not board.busy


def test_a_result_that_got_lost_is_made_again():
    class Forgetful(MemoryJobs):
        def body(self, record):
            raise JobStoreError("bad sector")

    board = make_board(Forgetful())
    work = Work(open=True)
    board.perform(work.order())
    assert board.perform(work.order()).body == b"result 2"


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
    wait_for(lambda: board._watchers == 1)
    gone.set()
    thread.join(PATIENCE)
    assert isinstance(outcome[0], JobCancelled)
    assert board.status("a").state is JobState.RUNNING
    work.end.set()
    assert over(board, "a") is JobState.DONE
