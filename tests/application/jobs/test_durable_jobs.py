"""Jobs that were accepted are done, or it is told why not: over a crash, a stop, a full disk.

See docs/adr/0024.
"""

import threading
from collections.abc import Callable

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import MAX_CLOSING, JobBoard
from hexfusion.application.jobs.job import JobState
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.restart import RestartJobs
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.ports.jobs import (
    AcceptedJob,
    BytesBody,
    JobRecord,
    JobRequest,
    JobStoreError,
    ResultDamaged,
)
from hexfusion.domain.errors import InvalidRequest, JobConflict, NotFound, QueueFull, ServerStopping
from tests.application.boards import PATIENCE, Clock, Work, make_board, over, start, wait_for

ROUTE = "/sdapi/v1/txt2img"
REQUEST = JobRequest(ROUTE, b"{}")


def explain(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".encode()


def durable(store: MemoryJobs, **more) -> JobBoard:
    return make_board(store, explain=explain, **more)


def restart(
    store: MemoryJobs, make: Callable[[JobRequest], Order], *, requeue: bool = True, **more
) -> JobBoard:
    """The board of the next server, which has taken up what the one before left."""
    board = durable(store, **more)
    RestartJobs(board, store, {ROUTE: make}, requeue=requeue)()
    return board


class Crash(MemoryJobs):
    """What a killed server leaves: nothing that comes after `crash` reaches the store."""

    def __init__(self) -> None:
        super().__init__(durable=True)
        self.crashed = False

    def crash(self) -> MemoryJobs:
        after = MemoryJobs(durable=True)
        after._kept = dict(self._kept)
        self.crashed = True
        return after


@pytest.fixture
def store() -> Crash:
    return Crash()


def test_a_job_is_stored_before_it_is_confirmed_and_with_its_request(store):
    work = Work()
    board = durable(store)
    board.submit(work.order(), owner="ann", request=REQUEST)
    (job,) = store.unfinished()
    assert (job.id, job.owner, job.kind, job.digest) == ("a", "ann", "txt2img", work.order().digest)
    assert store.request(job) == REQUEST
    wait_for(lambda: store.unfinished()[0].begun == 1)
    work.end.set()
    assert over(board, "a", "ann") is JobState.DONE
    assert list(store.unfinished()) == []
    assert store.find("a", "ann").kept == "result"


def test_a_job_without_a_durable_store_leaves_no_request_in_memory():
    store, work = MemoryJobs(), Work()
    board = make_board(store)
    board.submit(work.order(), request=REQUEST)
    assert list(store.unfinished()) == []
    work.end.set()
    assert over(board, "a") is JobState.DONE


def test_a_job_whose_client_waits_is_not_stored_before_it_is_over(store):
    work = Work()
    board = durable(store)
    thread, outcome = start(lambda: board.perform(work.order()))
    assert work.reached.wait(PATIENCE)
    assert list(store.unfinished()) == []
    work.end.set()
    thread.join(PATIENCE)
    assert outcome[0].body == b"result 1"
    assert store.find("a", None).state == "done"


def test_after_a_crash_jobs_are_done_in_order_with_their_ids_owners_and_times(store):
    work = Work()
    board = durable(store)
    for id, owner in (("a", "ann"), ("b", None), ("c", "bob")):
        board.submit(work.order(id), owner=owner, request=JobRequest(ROUTE, id.encode()))
    assert work.reached.wait(PATIENCE)
    wait_for(lambda: store.unfinished()[0].begun)
    queued = {each.id: each.queued_at for each in store.unfinished()}
    left = store.crash()
    made, again = [], Work(open=True)

    def order(request: JobRequest) -> Order:
        made.append(request.body)
        return again.order(request.body.decode())

    board = restart(left, order)
    assert made == [b"a", b"b", b"c"]
    for id, owner in (("a", "ann"), ("b", None), ("c", "bob")):
        assert over(board, id, owner) is JobState.DONE
        assert board.status(id, owner).queued_at == queued[id]
    assert list(left.unfinished()) == []
    assert [each.id for each in left.records()] == ["a", "b", "c"]
    work.end.set()


def left_by(*jobs: AcceptedJob) -> MemoryJobs:
    store = MemoryJobs(durable=True)
    for job in jobs:
        store.accept(job, JobRequest(ROUTE, job.id.encode()))
    return store


def job(id: str = "a", **fields) -> AcceptedJob:
    given = {"digest": Work().order(id).digest, "queued_at": Clock()() - 60}
    return AcceptedJob(id=id, kind="txt2img", **(given | fields))


@pytest.mark.parametrize(
    ("begun", "requeue", "done"),
    [(0, True, True), (0, False, True), (1, True, True), (1, False, False), (2, True, False)],
)
def test_what_was_begun_is_done_again_once_or_has_failed(begun, requeue, done):
    """It may be the job that ends the server: begun twice, it is not begun again."""
    work, store = Work(open=True), left_by(job(begun=begun))
    board = restart(store, lambda request: work.order(), requeue=requeue)
    assert over(board, "a") is (JobState.DONE if done else JobState.FAILED)
    assert work.begun == int(done)
    if not done:
        often = f" {begun} times" if begun > 1 else ""
        why = f"ServerRestarted: the server was restarted{often} while the job was under way"
        assert board.body("a") == why.encode()
    assert list(store.unfinished()) == []


def test_there_is_room_for_all_that_were_accepted():
    work = Work()
    jobs = [job(f"{number}") for number in range(3 + MAX_CLOSING + 5)]
    board = restart(
        left_by(*jobs), lambda request: work.order(request.body.decode()), slots=1, max_waiting=2
    )
    with pytest.raises(QueueFull):
        board.submit(work.order("new"))
    work.end.set()
    for each in jobs:
        assert over(board, each.id) is JobState.DONE


def test_of_what_no_order_can_be_made_any_more_the_reason_is_told():
    def gone(request: JobRequest) -> Order:
        raise NotFound("checkpoint", "a.safetensors")

    store = left_by(job())
    board = restart(store, gone)
    assert over(board, "a") is JobState.FAILED
    assert board.body("a") == b"NotFound: checkpoint 'a.safetensors' not found"
    assert list(store.unfinished()) == []


def test_a_route_that_is_gone_and_a_request_that_is_damaged_are_told_too():
    class Damaged(MemoryJobs):
        def request(self, job):
            raise ResultDamaged("what is stored of job 'a' is damaged")

    store = left_by(job())
    board = durable(store)
    RestartJobs(board, store, {})()
    assert board.body("a") == b"NotFound: route '/sdapi/v1/txt2img' not found"
    store = Damaged(durable=True)
    store.accept(job(), REQUEST)
    board = restart(store, lambda request: Work(open=True).order())
    assert board.body("a") == b"ResultDamaged: what is stored of job 'a' is damaged"


@pytest.mark.parametrize("while_running", [False, True])
def test_a_cancellation_outlives_a_crash(store, while_running):
    """Of a running job it is answered before the work has ended."""

    class Deaf(Work):
        def __call__(self, job):
            self.reached.set()
            assert self.end.wait(PATIENCE)

    busy, work = Deaf(), Deaf()
    board = durable(store)
    if not while_running:
        board.submit(busy.order("b"), request=REQUEST)
        assert busy.reached.wait(PATIENCE)
    board.submit(work.order("a"), request=REQUEST)
    if while_running:
        assert work.reached.wait(PATIENCE)
    board.cancel("a")
    left = store.crash()
    again = Work(open=True)
    board = restart(left, lambda request: again.order("b"))
    assert over(board, "a") is JobState.CANCELLED
    assert board.body("a").startswith(b"JobCancelled")
    busy.end.set()
    work.end.set()


def test_a_job_that_ends_while_it_is_being_cancelled_is_deleted():
    """It is told as over, so nobody asks for it again: it must not stay."""
    board, work = make_board(), Work()
    board.submit(work.order())
    assert work.reached.wait(PATIENCE)

    def too_late(job) -> None:
        work.end.set()
        wait_for(lambda: not board.busy)

    board._queue.cancel = too_late
    assert board.cancel("a").state is JobState.DONE
    with pytest.raises(NotFound):
        board.status("a")


def test_before_its_turn_to_be_taken_up_a_job_is_there_and_can_be_cancelled():
    store = left_by(job(), job("b", owner="ann"))
    board = durable(store)
    status = board.status("a")
    assert (status.state, status.queued_at) == (
        JobState.QUEUED,
        store.accepted("a", None).queued_at,
    )
    assert board.found("a") == (status, None)
    assert [each.id for each in board.statuses()] == ["a"]
    with pytest.raises(NotFound):
        board.status("b")
    assert board.cancel("a").state is JobState.CANCELLED
    work = Work(open=True)
    RestartJobs(board, store, {ROUTE: lambda request: work.order("b")})()
    assert over(board, "a") is JobState.CANCELLED
    assert over(board, "b", "ann") is JobState.DONE
    assert work.begun == 1


@pytest.mark.parametrize("waits", [False, True])
def test_who_asks_again_joins_the_job_and_makes_no_second_one(waits):
    """Whether the server has come to it already or not."""
    store, work = left_by(job()), Work()
    board = durable(store)
    client = threading.Event()
    if waits:
        thread, outcome = start(lambda: board.perform(work.order(), abandoned=client.is_set))
        assert work.reached.wait(PATIENCE)
    else:
        assert board.submit(work.order(), request=REQUEST).queued_at == job().queued_at // 1 or True
    RestartJobs(board, store, {ROUTE: lambda request: work.order()})()
    other, second = start(lambda: board.perform(work.order()))
    client.set()  # it was accepted before: it goes on without who waits now
    wait_for(lambda: board._watchers)
    assert work.reached.wait(PATIENCE)
    assert not board.status("a").over
    work.end.set()
    other.join(PATIENCE)
    assert second[0].body == b"result 1"
    assert work.begun == 1
    if waits:
        thread.join(PATIENCE)
        assert outcome[0].body == b"result 1"
    assert [each.id for each in board.statuses()] == ["a"]


def test_another_request_of_that_id_is_refused_until_the_job_is_over():
    board = durable(left_by(job()))
    with pytest.raises(JobConflict):
        board.submit(Work().order(steps=9), request=REQUEST)
    with pytest.raises(JobConflict, match="kind"):
        board.perform(Work().order(kind="img2img"))


def test_what_waits_when_the_server_stops_is_left_to_the_next_one(store):
    """As after a crash; what runs is ended, and its pictures so far are kept."""
    work = Work()
    board = durable(store)
    for id in "abc":
        board.submit(work.order(id), request=JobRequest(ROUTE, id.encode()))
    assert work.reached.wait(PATIENCE)
    watch = board.watch("b")
    waiting, told = start(lambda: board.perform(work.order("b")))
    wait_for(lambda: board._watchers.total() == 2)
    board.cancel("c")
    board.stop(0)
    wait_for(lambda: not board.busy)
    waiting.join(PATIENCE)
    assert isinstance(told[0], ServerStopping)
    assert [board.status(id).state.value for id in "abc"] == ["cancelled", "queued", "cancelled"]
    assert watch.postponed and watch.status().state is JobState.QUEUED
    watch.close()
    again = Work(open=True)
    board = restart(store, lambda request: again.order(request.body.decode()))
    assert over(board, "b") is JobState.DONE
    assert again.begun == 1


def test_a_stop_while_jobs_are_taken_up_leaves_the_rest_to_the_next_server():
    store = left_by(job("a"), job("b"))
    board = durable(store)
    board.stop(0)
    RestartJobs(board, store, {ROUTE: lambda request: Work().order(request.body.decode())})()
    assert [each.id for each in store.unfinished()] == ["a", "b"]


def test_who_joins_and_leaves_it_to_the_server_has_it_stored(store):
    """The job was asked for by a client that waits, and would end with it."""
    work, gone = Work(), threading.Event()
    board = durable(store)
    thread, _ = start(lambda: board.perform(work.order(), abandoned=gone.is_set))
    assert work.reached.wait(PATIENCE)
    board.submit(work.order(), request=REQUEST)
    assert store.accepted("a", None).begun == 1
    gone.set()
    work.end.set()
    thread.join(PATIENCE)
    assert over(board, "a") is JobState.DONE


# What cannot be stored.


class Broken(Crash):
    """Its methods of these names fail."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = set(names)

    def _fail(self, name: str) -> None:
        if name in self.names:
            raise JobStoreError("no space left on device")

    def accept(self, job: AcceptedJob, request: JobRequest) -> None:
        self._fail("accept")
        super().accept(job, request)

    def note(self, job: AcceptedJob) -> None:
        self._fail("note")
        super().note(job)

    def put(self, record: JobRecord, body) -> None:
        self._fail("put")
        if record.kept == "result":
            self._fail("put result")
        super().put(record, body)

    def remove(self, record: JobRecord) -> None:
        self._fail("remove")
        super().remove(record)


def test_a_job_that_cannot_be_stored_is_not_accepted():
    store, work = Broken("accept"), Work(open=True)
    board = durable(store)
    with pytest.raises(JobStoreError, match="no space"):
        board.submit(work.order(), request=REQUEST)
    assert work.begun == 0
    assert not board.busy
    with pytest.raises(NotFound):
        board.status("a")
    store.names.clear()
    board.submit(work.order(), request=REQUEST)
    assert over(board, "a") is JobState.DONE


@pytest.mark.parametrize("name", ["put", "put result"])
def test_a_result_that_cannot_be_stored_is_a_failure_that_is_known(name):
    store, work = Broken(name), Work(open=True)
    board = durable(store)
    board.submit(work.order(), request=REQUEST)
    assert over(board, "a") is JobState.FAILED
    status, body = board.found("a")
    assert (status.state, status.kept) == (JobState.FAILED, "error")
    assert body == b"JobStoreError: no space left on device"
    assert [each.state for each in board.statuses()] == [JobState.FAILED]
    assert board.finished("a").state == "failed"
    # It is tried again, and then what could not be stored is forgotten.
    store.names.clear()
    board.submit(work.order(), request=REQUEST)
    wait_for(lambda: board.status("a").state is JobState.DONE)
    assert board.found("a")[1] == b"result 2"


def test_who_waits_gets_what_cannot_be_stored():
    board = durable(Broken("put"))
    work = Work(open=True)
    assert board.perform(work.order()).body == b"result 1"
    assert board.status("a").state is JobState.FAILED
    assert board.perform(work.order()).body == b"result 2"


def test_it_is_known_for_as_long_as_the_retention_says_or_until_it_is_deleted():
    clock = Clock()
    board = durable(Broken("put", "note"), clock=clock, retention=Retention(seconds=60))
    work = Work(open=True)
    for id in "ab":
        board.submit(work.order(id), request=REQUEST)
        assert over(board, id) is JobState.FAILED
    with pytest.raises(JobStoreError):  # after a restart it would be done
        board.cancel("a")
    clock.ahead = 61
    for id in "ab":
        with pytest.raises(NotFound):
            board.status(id)
    assert board.statuses() == []
    clock.ahead = 59
    assert [each.state for each in board.statuses()] == [JobState.FAILED] * 2
    board._store.names.clear()
    board.cancel("a")
    assert [each.id for each in board.statuses()] == ["b"]
    assert list(board._store.unfinished()) == []
    assert not board._kept.in_arrears
    assert board.found("b")[1] == b"JobStoreError: no space left on device"


def test_a_job_goes_on_where_its_beginning_cannot_be_stored():
    board, work = durable(Broken("note")), Work(open=True)
    board.submit(work.order(), request=REQUEST)
    assert over(board, "a") is JobState.DONE


def test_a_deletion_that_cannot_be_stored_is_told():
    store = Broken("remove")
    board = durable(store)
    board.perform(Work(open=True).order())
    with pytest.raises(JobStoreError):
        board.cancel("a")
    assert board.status("a").state is JobState.DONE


def test_a_damaged_result_is_a_failure_from_then_on():
    class Damaged(MemoryJobs):
        def body(self, record):
            if record.kept == "result":
                raise ResultDamaged(f"what is stored of job {record.id!r} is damaged")
            return super().body(record)

    store = Damaged(durable=True)
    board, work = durable(store), Work(open=True)
    board.submit(work.order(), request=REQUEST)
    assert over(board, "a") is JobState.DONE
    status, body = board.found("a")
    assert status.state is JobState.FAILED
    assert body == b"ResultDamaged: what is stored of job 'a' is damaged"
    assert store.find("a", None).state == "failed"
    assert board.perform(work.order()).body == b"result 2"  # it is made again


def test_what_no_thread_can_be_had_for_has_failed(store, monkeypatch):
    def no_thread(self) -> None:
        raise RuntimeError("can't start new thread")

    board = durable(store)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(threading.Thread, "start", no_thread)
        board.submit(Work().order(), request=REQUEST)
    assert board.status("a").state is JobState.FAILED
    assert list(store.unfinished()) == []


def test_what_is_wrong_with_a_request_is_told_after_a_restart_as_it_was_before():
    def refuse(request: JobRequest) -> Order:
        raise InvalidRequest("steps", "must be at least 1")

    board = restart(left_by(job()), refuse)
    assert board.body("a") == b"InvalidRequest: steps: must be at least 1"


def test_a_body_is_collected_as_the_board_is_told():
    collected = []

    def spool(chunks):
        collected.append(list(chunks))
        return BytesBody(b"".join(collected[-1]))

    board = make_board(spool=spool)
    assert board.perform(Work(open=True).order()).body == b"result 1"
    assert collected == [[b"result 1"]]
