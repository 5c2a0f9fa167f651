"""Parties share slots, the queue, watchers, and what is kept: none shuts another out."""

import contextlib
import threading
import time
from collections import Counter

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.allotment import Allotment, shared
from hexfusion.application.jobs.board import CLOSING_EACH, MAX_CLOSING, JobBoard
from hexfusion.application.jobs.job import Job, JobState
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.domain.errors import JobCancelled, NotFound, QueueFull, ShareTaken
from tests.application.boards import PATIENCE, Work, make_board, over, start, wait_for


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_job(party: str, id: str | None = None) -> Job:
    return Job("txt2img", time.time, id, party=party)


def in_turns(queue: JobQueue, clock: Hand, jobs: list[tuple[Job, float]]) -> list[str]:
    """Let these jobs come in this order while another runs, then each run for its seconds; returns
    their parties in the order in which they ran."""
    order: list[str] = []

    def work(job: Job, seconds: float) -> None:
        with queue.admit(job):
            order.append(job.party)
            clock.now += seconds

    threads = []
    with queue.admit(Job("txt2img", clock, party="first")):
        for place, (job, seconds) in enumerate(jobs, 1):
            threads.append(threading.Thread(target=work, args=(job, seconds)))
            threads[-1].start()
            wait_for(lambda place=place: len(queue.waiting()) == place)
    for thread in threads:
        thread.join(PATIENCE)
    return order


def test_jobs_of_two_parties_take_turns_whoever_came_first():
    clock = Hand()
    queue = JobQueue(clock)
    jobs = [(Job("txt2img", clock, party=party), 10.0) for party in ("ann",) * 4 + ("bob",) * 4]
    assert in_turns(queue, clock, jobs) == ["ann", "bob"] * 4


def test_long_jobs_of_one_leave_equal_time_to_short_ones_of_another():
    clock = Hand()
    queue = JobQueue(clock, max_waiting=50)
    jobs = [(Job("txt2img", clock, party="ann"), 10.0) for _ in range(3)]
    jobs += [(Job("txt2img", clock, party="bob"), 1.0) for _ in range(25)]
    order = in_turns(queue, clock, jobs)
    assert order[0] == "ann"
    first, second = [place for place, party in enumerate(order) if party == "ann"][1:]
    assert 9 <= first <= 12
    assert 9 <= second - first - 1 <= 12


def test_who_comes_late_has_half_and_not_all_until_they_have_had_as_much():
    clock = Hand()
    queue = JobQueue(clock)
    for party, seconds in (("bob", 1), ("ann", 500)):
        with queue.admit(Job("txt2img", clock, party=party)):
            clock.now += seconds
    jobs = [(Job("txt2img", clock, party=party), 10.0) for party in ("ann",) * 3 + ("bob",) * 3]
    assert in_turns(queue, clock, jobs) == ["ann", "bob"] * 3


def test_the_time_before_a_job_begins_is_not_charged():
    clock = Hand()
    queue = JobQueue(clock)
    job = Job("txt2img", clock, party="ann")
    queue.enter(job)
    clock.now += 100  # its thread comes late
    with queue.turn(job):
        clock.now += 1
    assert queue._turns._accounts["ann"].had == 1


def test_who_waits_hears_when_a_newcomer_changes_whose_turn_it_is(monkeypatch):
    """Not when they look again next time: a slot is free."""
    monkeypatch.setattr("hexfusion.application.jobs.queue._PATROL", 3600.0)
    clock, go, asking = Hand(), threading.Event(), threading.Event()

    def ready() -> tuple[str, ...]:
        if threading.current_thread().name == "bob's":
            asking.set()
            assert go.wait(PATIENCE)
        return ()

    queue = JobQueue(clock, slots=2, max_waiting=8, ready=ready)
    jobs = [Job("txt2img", clock, party=party) for party in ("ann", "bob")]
    ran: list[str] = []

    def work(job: Job) -> None:
        with contextlib.suppress(JobCancelled), queue.turn(job):
            ran.append(job.party)

    with queue.admit(Job("txt2img", clock, party="bob")), queue.admit(a_job("ann")) as first:
        clock.now += 2.0  # both have had as much; ann's job came first, but bob's usual is less
        for job in jobs:
            queue.enter(job)
        queue._turns._accounts["ann"].had += 50.0
        threads = [
            threading.Thread(target=work, args=(job,), name=f"{job.party}'s") for job in jobs
        ]
        threads[0].start()
        threads[1].start()
        queue._end(first, JobState.DONE)
        assert asking.wait(PATIENCE)
        assert queue.waiting()[0] is jobs[1]
        time.sleep(0.05)  # ann's thread finds that it is bob's turn, and sleeps
        clock.now += 500.0
        queue.enter(Job("txt2img", clock, party="eve"))  # bob's running job is charged now
        wait_for(lambda: ran == ["ann"])
        go.set()
        queue.interrupt_all()
        for thread in threads:
            thread.join(PATIENCE)


def test_positions_follow_the_turns():
    board, work = make_board(), Work()
    board.submit(work.order("running"), party="ann")
    assert work.reached.wait(PATIENCE)
    for id, party in [("a1", "ann"), ("a2", "ann"), ("b1", "bob")]:
        board.submit(work.order(id), party=party)
    positions = {id: board.status(id).position for id in ("a1", "a2", "b1")}
    assert positions == {"b1": 1, "a1": 2, "a2": 3}
    assert [each.id for each in board.statuses()] == ["running", "b1", "a1", "a2"]
    running, waiting = board._queue.standing()
    assert [job.id for job in (*running, *waiting)] == ["running", "b1", "a1", "a2"]
    work.end.set()
    for id in positions:
        over(board, id)


def test_a_flood_of_one_leaves_places_in_the_queue_to_others():
    queue = JobQueue(time.time, max_waiting=8, share=shared(8))
    with queue.admit(a_job("ann")):
        for _ in range(6):
            queue.enter(a_job("ann"))
        with pytest.raises(ShareTaken) as refused:
            queue.enter(a_job("ann"))
        assert str(refused.value).startswith("ann has 6 jobs waiting already")
        assert refused.value.retry_after >= 1
        queue.enter(a_job("bob"))
        with pytest.raises(ShareTaken, match="bob has 1 jobs waiting"):
            queue.enter(a_job("bob"))  # the last place is for who has none
        queue.check_room("eve")
        queue.enter(a_job("eve"))
        for party, error in (("ann", QueueFull), ("carl", QueueFull)):
            with pytest.raises(error):
                queue.check_room(party)
        with pytest.raises(QueueFull, match="8 jobs are waiting already"):
            queue.enter(a_job("carl"))
        queue.interrupt_all()


def test_a_share_of_none_bars_nobody_from_a_free_slot():
    queue = JobQueue(time.time, slots=2, max_waiting=0, share=shared(0))
    with queue.admit(a_job("ann")), queue.admit(a_job("ann")), pytest.raises(QueueFull):
        queue.enter(a_job("bob"))


def test_watchers_of_one_leave_places_to_others():
    board, work = make_board(watchers=Allotment(4, 2)), Work()
    board.submit(work.order("a"))
    watches = [board.watch("a", party="ann") for _ in range(2)]
    with pytest.raises(ShareTaken, match="ann has 2 watchers"):
        board.watch("a", party="ann")
    with pytest.raises(ShareTaken, match="ann has 2 watchers"):
        board.perform(work.order("a"), party="ann")  # who waits for another's thread is one too
    watches.append(board.watch("a", party="bob"))
    watches[0].close()
    watches.append(board.watch("a", party="ann"))
    for watch in watches:
        watch.close()
    assert not board._watchers  # nor with 0: addresses are many
    work.end.set()
    over(board, "a")


def test_jobs_of_one_that_are_being_encoded_leave_places_to_others():
    """More of them than may wait, since each has left the queue when the next comes."""
    go = threading.Event()

    def encode(made: int) -> bytes:
        assert go.wait(PATIENCE)
        return b"made"

    def order(id: str) -> Order[int]:
        return Order("txt2img", id, {}, lambda job: 1, encode, lambda error: b"failed")

    queue = JobQueue(time.time, max_waiting=8, share=shared(8))
    board = JobBoard(queue, MemoryJobs(), time.time)
    taken = 1 + 6 + CLOSING_EACH
    try:
        for number in range(taken):
            board.submit(order(str(number)), party="ann")
            wait_for(lambda: not queue.waiting() and not queue.running())
        with pytest.raises(ShareTaken, match="jobs under way"):
            board.submit(order("more"), party="ann")
        for number in range(1 + 8 + MAX_CLOSING - taken):
            board.submit(order(f"bob {number}"), party="bob")
            wait_for(lambda: not queue.waiting() and not queue.running())
        with pytest.raises(QueueFull, match="are waiting already"):
            board.submit(order("last"), party="eve")
    finally:
        go.set()
    wait_for(lambda: not board.busy)


def test_tiny_jobs_of_one_erase_no_result_of_another():
    board, work = make_board(retention=Retention(jobs=5)), Work(open=True)
    board.submit(work.order("mine"), party="bob")
    over(board, "mine")
    for number in range(12):
        board.perform(work.order(str(number)), party="ann")
    assert board.body("mine") == b"result 1"
    with pytest.raises(NotFound):
        board.body("6")
    assert board.body("7") and board.body("11")


def test_without_parties_a_login_is_one():
    board, work = make_board(retention=Retention(jobs=2)), Work(open=True)
    board.perform(work.order("mine"), owner="bob")
    for number in range(4):
        board.perform(work.order(str(number)), owner="ann")
    assert board.body("mine", "bob") == b"result 1"


def test_a_party_whose_turn_comes_while_a_slot_is_free_is_not_kept_waiting():
    """Whoever comes while others decide: all see the same."""
    queue = JobQueue(time.time, slots=2, max_waiting=64)
    ran: list[str] = []

    def work(party: str) -> None:
        for _ in range(10):
            with queue.admit(a_job(party)):
                ran.append(party)
                time.sleep(0.001)

    asked = [start(lambda party=party: work(party)) for party in "aaaabbc"]
    for thread, outcome in asked:
        thread.join(PATIENCE)
        assert outcome == [None]
    assert Counter(ran) == {"a": 40, "b": 20, "c": 10}
