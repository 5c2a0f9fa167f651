"""Jobs, their queue and their board: shared by every thread of the server."""

import contextlib
import time

import pytest
from PIL import Image

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.acceptance import Acceptance
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job, JobState
from hexfusion.application.jobs.kept import KeptJobs
from hexfusion.application.jobs.live_preview import LivePreview
from hexfusion.application.jobs.looking import JobsSeen
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.ports.jobs import Body, BytesBody, JobRecord, JobStoreError
from hexfusion.domain.errors import JobCancelled, NotFound, ServerStopping
from tests.concurrency.guarded import Guard, LockContract, Scene
from tests.contracts.job_store import REQUEST, accepted, record


def noon() -> float:
    return 43200.0


class TestJobLocks(LockContract):
    guards = {
        Job: [
            Guard(
                "_lock",
                written=(
                    "progress",
                    "state",
                    "started_at",
                    "finished_at",
                    "changes",
                    "pictures_made",
                    "text",
                ),
            )
        ]
    }

    def play(self, scene: Scene) -> None:
        job = scene[Job]("txt2img", noon)
        job.enter(JobState.RUNNING)
        picture = Image.new("RGB", (8, 8))
        seen = []

        def work() -> None:
            job.begin_batch("a cat", 0, 1, [4])
            for step in (1, 2):
                job.observe(step, 4, lambda: picture)
            job.advance(3, 4)
            job.show([picture])
            job.enter(JobState.DONE)

        def look() -> None:
            """Everything is of one moment."""
            for _ in range(3):
                view = job.view()
                if view.changes > 2:
                    assert view.text == ("" if view.over else "a cat")

        def watch() -> None:
            changes = 0
            while not job.over:
                changes = job.wait(changes, 5.0)
            seen.append(changes)

        scene.run(work, look, watch, job.tell)
        assert (job.state, job.pictures_made, job.changes) == (JobState.DONE, 1, 8)
        assert seen[0] <= job.changes


class TestLivePreviewLocks(LockContract):
    guards = {
        LivePreview: [
            Guard(
                "_lock",
                touched=("_make", "_step", "_stage", "_latest_step", "_making"),
                written=("_latest",),
            )
        ]
    }

    def play(self, scene: Scene) -> None:
        live, made = scene[LivePreview](), []
        picture, last = Image.new("RGB", (8, 8)), Image.new("RGB", (4, 4))

        def make() -> Image.Image:
            made.append(1)
            scene.stage.pause()
            return picture

        def work() -> None:
            live.begin()
            for step in (1, 2):
                live.offer(make, step)
            live.finish(last)

        scene.run(work, live.latest, live.latest)
        assert live.latest().image is last and len(made) <= 2


class TestQueueLocks(LockContract):
    guards = {
        JobQueue: [
            Guard(
                "_changed",
                touched=("_waiting", "_running", "_last", "_turns"),
                written=("_stopping",),
            )
        ]
    }

    def play(self, scene: Scene) -> None:
        queue = scene[JobQueue](noon, slots=2, max_waiting=8)
        jobs = [Job("txt2img", noon, id=str(number)) for number in range(4)]
        most = []

        def work(job: Job) -> None:
            with queue.admit(job):
                most.append(len(queue.running()))

        def look() -> None:
            queue.current()
            queue.last()
            queue.full()
            queue.waiting()
            queue.standing()
            queue.refusal()
            queue.check_room("")
            with contextlib.suppress(NotFound):
                queue.find("1")

        def send_away() -> None:
            late = Job("txt2img", noon, id="late")
            queue.enter(late)
            queue.cancel(late)
            with pytest.raises(JobCancelled), queue.turn(late):
                raise AssertionError("it has no turn")

        scene.run(*(lambda job=job: work(job) for job in jobs), look, send_away)
        assert [job.state for job in jobs] == [JobState.DONE] * 4
        assert max(most) <= 2 and not queue.running() and not queue.waiting()
        scene.run(lambda: queue.stop(5.0), queue.full)
        with pytest.raises(ServerStopping):
            queue.enter(jobs[0])


class TestWaitingRoomLocks(LockContract):
    guards = {WaitingRoom: [Guard("_lock", touched=("_held",))]}

    def play(self, scene: Scene) -> None:
        room, inside = scene[WaitingRoom]("it", waiting=7), []

        def wait(party: str) -> None:
            with room.place(party):
                inside.append(party)
                scene.stage.pause()

        scene.run(*(lambda party=party: wait(party) for party in ("ann", "ann", "bob")))
        assert sorted(inside) == ["ann", "ann", "bob"] and not room._held


class FullForOne(MemoryJobs):
    """There is no space for job "one" yet when it is over."""

    failures = 2

    def put(self, record: JobRecord, body: Body) -> None:
        if record.id == "one" and self.failures:
            self.failures -= 1
            raise JobStoreError("no space")
        super().put(record, body)


class TestBoardLocks(LockContract):
    guards = {JobBoard: [Guard("_lock", touched=("_live", "_watchers"))], JobsSeen: []}

    def play(self, scene: Scene) -> None:
        store = FullForOne(durable=True)
        for id in ("resumed", "given up"):
            store.accept(accepted(id), REQUEST)
        board = scene.given(JobBoard, JobsSeen=scene[JobsSeen])(JobQueue(noon), store, noon)
        made = []

        def order(id: str | None) -> Order[int]:
            def make(job: Job) -> int:
                job.begin_batch("a cat", 0, 1, [1])
                made.append(id)
                return 1

            return Order("txt2img", id, {}, make, lambda made: [b"made"], lambda error: b"failed")

        outcomes = []

        def ask() -> None:
            outcomes.append(board.perform(order("same")).body)

        def leave() -> None:
            board.submit(order(None), new_id="left")
            watch = board.watch("left")
            changes = -1
            while watch.status().state in (JobState.QUEUED, JobState.RUNNING):
                changes = watch.wait(changes, 5.0)
            watch.close()
            board.cancel("left")

        def look() -> None:
            board.statuses()
            board.finished("same")
            with contextlib.suppress(NotFound):
                board.status("same")
            with contextlib.suppress(NotFound):
                board.found("same")
            with contextlib.suppress(NotFound):
                board.whose("same")

        def poll() -> None:
            """What is done has its result, and nothing goes on after it is over."""
            over = False
            while not over:
                try:
                    status, body = board.found("same")
                except NotFound:
                    continue
                over = status.over
                assert over == (body is not None)
            assert board.found("same")[0].over

        def take_up() -> None:
            board.resume(store.accepted("resumed", None), order(None))
            board.give_up(store.accepted("given up", None), JobState.FAILED, ServerStopping())

        def lose() -> None:
            with contextlib.suppress(NotFound):
                board.found("one")
            board.perform(order("one"))
            board.found("one")

        scene.run(ask, ask, leave, look, poll, take_up, lose)
        while board.busy:
            time.sleep(0.001)
        assert board.status("given up").state is JobState.FAILED
        made.remove("one")
        made.remove(None)
        assert outcomes == [b"made", b"made"]
        assert sorted(map(str, made)) == ["None", "same"]
        assert board._watchers.total() == 0 and not board.busy


class TestAcceptanceLocks(LockContract):
    guards = {Acceptance: [Guard("_lock", touched=("_closed", "_refused", "_begun"))]}

    def play(self, scene: Scene) -> None:
        store = MemoryJobs(durable=True)
        acceptance, done = scene[Acceptance](store), record("a")

        def work() -> None:
            acceptance.begin()
            acceptance.close(lambda: store.put(done, BytesBody(b"done")))

        def accept() -> None:
            acceptance.accept(lambda: accepted("a"), REQUEST)
            scene.stage.pause()
            job = store.accepted("a", None)
            assert job or store.find("a", None), "it is confirmed, and not stored"

        scene.run(work, accept, acceptance.cancel)
        assert list(store.records()) == [done], "what came of it is replaced"


class TestKeptJobsLocks(LockContract):
    guards = {KeptJobs: [Guard("_lock", touched=("_unstored",))]}

    def play(self, scene: Scene) -> None:
        class Full(MemoryJobs):
            full = True

            def put(self, record: JobRecord, body: Body) -> None:
                if self.full:
                    raise JobStoreError("no space")
                super().put(record, body)

        store = Full(durable=True)
        kept = scene[KeptJobs](store, noon, Retention(), lambda error: b"failed")

        def put(number: int) -> None:
            kept.put(record(str(number), finished_at=noon()), BytesBody(b"done"))

        def look() -> None:
            kept.records()
            kept.accepted("1", None)
            kept.unfinished()
            kept.sweep()
            if (found := kept.find("1", None)) is not None:
                assert kept.body(found) == b"failed"

        scene.run(*(lambda number=number: put(number) for number in range(3)), look)
        assert sorted(each.id for each in kept.records()) == ["0", "1", "2"]
        scene.run(lambda: kept.remove(kept.find("2", None)), lambda: kept.in_arrears)
        store.full = False
        scene.run(lambda: kept.catch_up([(None, "1")]), look)
        assert [each.id for each in store.records()] == ["0"]
        assert kept.find("1", None).state == "failed"
        put(1)
        assert kept.body(kept.find("1", None)) == b"done"
        assert not kept.in_arrears
