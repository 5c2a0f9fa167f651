"""Jobs, their queue and their board: shared by every thread of the server."""

import contextlib

import pytest
from PIL import Image

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job, JobState
from hexfusion.application.jobs.live_preview import LivePreview
from hexfusion.application.jobs.orders import Order
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.domain.errors import JobCancelled, NotFound, ServerStopping
from tests.concurrency.guarded import Guard, LockContract, Scene


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


class TestBoardLocks(LockContract):
    guards = {JobBoard: [Guard("_lock", touched=("_live", "_watchers"))]}

    def play(self, scene: Scene) -> None:
        board = scene[JobBoard](JobQueue(noon), MemoryJobs(), noon)
        made = []

        def order(id: str | None) -> Order[int]:
            def make(job: Job) -> int:
                job.begin_batch("a cat", 0, 1, [1])
                made.append(id)
                return 1

            return Order("txt2img", id, {}, make, lambda made: b"made", lambda error: b"failed")

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

        scene.run(ask, ask, leave, look)
        assert outcomes == [b"made", b"made"]
        assert sorted(map(str, made)) == ["None", "same"]
        assert board._watchers.total() == 0 and not board.busy
