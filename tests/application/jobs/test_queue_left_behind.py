"""Jobs that outlive their requests: watched, cancelled, kept for a while (docs/adr/0009)."""

import threading

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import MAX_CLOSING, JobBoard
from hexfusion.application.jobs.job import JobState
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.ports.jobs import JobStoreError
from hexfusion.domain.errors import NotFound, QueueFull, TooManyWatchers
from tests.application.boards import PATIENCE, Clock, Work, make_board, over, start, wait_for


@pytest.fixture
def board() -> JobBoard:
    return make_board()


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

    def encode(made: int) -> list[bytes]:
        encoding.set()
        assert go.wait(PATIENCE)
        return [b"result"]

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
    wait_for(lambda: board._watchers.total() == 1)
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
    assert board._watchers.total() == 0
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
    long = Order("txt2img", "b", {}, work, lambda made: [b"x" * 101], order.explain)
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


def test_jobs_whose_pictures_are_still_being_encoded_are_bounded_too():
    """Each holds a thread, and its pictures, though its slot and its place are free again."""
    board, go, encoding = make_board(slots=1, max_waiting=2), threading.Event(), []

    def encode(made: int) -> list[bytes]:
        encoding.append(made)
        assert go.wait(PATIENCE)
        return [b"result"]

    work = Work(open=True)
    taken = 1 + 2 + MAX_CLOSING
    for number in range(taken):
        plain = work.order(str(number))
        board.submit(Order("txt2img", str(number), {}, work, encode, plain.explain))
        wait_for(lambda number=number: len(encoding) == number + 1)
    with pytest.raises(QueueFull) as refused:
        board.submit(work.order("one more"))
    assert refused.value.retry_after >= 1
    go.set()
    for number in range(taken):
        assert over(board, str(number)) is JobState.DONE
    board.submit(work.order("one more"))
    assert over(board, "one more") is JobState.DONE
