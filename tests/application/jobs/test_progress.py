"""How far a job is, by its id: spec api.md 11.2, 11.4."""

import threading
import time
from contextlib import ExitStack

import pytest
from PIL import Image

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.progress import ReadProgress
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.task_progress import ListPendingTasks, ReadTaskProgress, TaskReport
from hexfusion.domain.errors import NotFound
from hexfusion.domain.progress import Progress
from tests.contracts.job_store import record

GREY = Image.new("RGB", (8, 8), "grey")
RED = Image.new("RGB", (8, 8), "red")
KEPT = {
    ("done", None): record("done", state="done"),
    ("failed", None): record("failed", state="failed"),
    ("stopped", None): record("stopped", state="cancelled", started_at=2.0),
    ("done", "ann"): record("done", state="done", owner="ann"),
}


class Scene:
    """`first` and `second` run, `third` and `fourth` wait, others are over."""

    def __init__(self, owners=(None,) * 4) -> None:
        self.options = MemoryOptions()
        self.queue = JobQueue(time.time, slots=2)
        names = ("first", "second", "third", "fourth")
        self.jobs = [
            Job("txt2img", time.time, id=id, owner=owner)
            for id, owner in zip(names, owners, strict=True)
        ]
        finished = lambda id, owner: KEPT.get((id, owner))  # noqa: E731
        self.progress = ReadProgress(self.queue, self.options, finished)
        self.task = ReadTaskProgress(self.queue, self.options, finished)
        self.pending = ListPendingTasks(self.queue)
        self._stack = ExitStack()

    def __enter__(self) -> "Scene":
        for number, job in enumerate(self.jobs[:2]):
            self._stack.enter_context(self.queue.admit(job))
            job.begin_batch("scripts_txt2img", 0, 1, [4])
            job.observe(number + 2, 4, lambda: GREY)
        for job in self.jobs[2:]:
            self.queue.enter(job)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def test_everybody_polls_their_own_job():
    """Spec api.md 11.2, by `id_task`."""
    with Scene() as it:
        assert it.progress("first").progress == pytest.approx(0.01 + 1 / 4)
        assert it.progress("second").progress == pytest.approx(0.01 + 2 / 4)
        assert it.progress("second").state.sampling_step == 2
        assert it.progress("second").picture is GREY
        assert it.progress("second").textinfo is None
        assert it.progress().progress == it.progress("first").progress


def test_who_waits_knows_their_place():
    with Scene() as it:
        assert it.progress("third").textinfo == "In queue: 1/2"
        fourth = it.progress("fourth")
        assert fourth.textinfo == "In queue: 2/2"
        assert (fourth.picture, fourth.state.job_count) == (None, -1)


def test_of_a_job_that_is_over_it_is_told_how_it_ended():
    it = Scene()
    for id, progress in (("done", 1.0), ("failed", 0.0), ("stopped", 0.0)):
        report = it.progress(id)
        assert (report.progress, report.eta_relative) == (progress, 0.0)
        assert (report.state.job, report.state.job_count) == ("", 0)
    assert it.progress("done").textinfo == "done"
    assert it.progress("stopped").state.interrupted
    with pytest.raises(NotFound):
        it.progress("unheard of")


def test_a_login_sees_its_own_jobs_only():
    with Scene(("ann", "bob", "ann", "bob")) as it:
        assert it.progress(owner="ann").progress == it.progress("first", owner="ann").progress
        assert it.progress(owner="bob").progress == it.progress("second", owner="bob").progress
        nobody = it.progress(owner="eve")
        assert (nobody.progress, nobody.state.job, nobody.picture) == (0.0, "", None)
        for id in ("second", "fourth"):
            with pytest.raises(NotFound):
                it.progress(id, owner="ann")
            assert not it.task(id, owner="ann").active
        assert it.progress("done", owner="ann").progress == 1.0
        with pytest.raises(NotFound):
            it.progress("done", owner="bob")
        assert it.pending("bob") == ["fourth"]
    after = it.progress(owner="ann")  # the last job was bob's
    assert (after.progress, after.state.job_timestamp) == (0.0, "0")


def test_a_task_that_runs():
    """Spec api.md 11.4."""
    with Scene() as it:
        it.jobs[1].started_at -= 30
        report = it.task("second")
        assert (report.active, report.queued, report.completed) == (True, False, False)
        assert report.progress == 0.5
        assert report.eta == pytest.approx(30, abs=1)
        assert report.textinfo is None


def test_its_preview_comes_only_if_it_is_a_new_one():
    """Spec api.md 11.4."""
    with Scene() as it:
        first = it.task("second", seen=-1)
        assert (first.picture, first.number) == (GREY, 1)
        again = it.task("second", seen=1)
        assert (again.picture, again.number) == (None, 1)
        it.jobs[1].show([RED])
        new = it.task("second", seen=1)
        assert (new.picture, new.number) == (RED, 2)
        assert it.task("second", seen=1, picture=False).picture is None
        it.options.update({"live_previews_enable": False})
        assert it.task("second", seen=1).picture is None


def test_tasks_that_do_not_run():
    """Spec api.md 11.4; recordings webui/progress_finished and progress_unknown."""
    with Scene() as it:
        assert it.task("third") == TaskReport(queued=True, textinfo="In queue: 1/2")
        assert it.task("fourth").textinfo == "In queue: 2/2"
        assert it.task("done") == TaskReport(completed=True, textinfo="Waiting...")
        for id in ("failed", "unheard of"):
            assert it.task(id) == TaskReport(textinfo="Waiting...")
        assert it.pending() == ["third", "fourth"]


def test_no_task_is_current_while_nothing_runs():
    """Spec api.md 11.4. A1111 fails with 500 before its first job."""
    it = Scene()
    assert it.task(None, seen=5) == TaskReport(active=True, progress=0.0, number=5)
    with it:
        assert it.task(None) == TaskReport(textinfo="Waiting...")


class Restless(Job):
    """Its progress is another one each time that it is read: it goes on meanwhile."""

    reads = 0

    @property
    def progress(self) -> Progress:
        if not self.reading:
            return self._progress
        self.reads += 1
        return Progress(units=4, units_done=self.reads % 4, step=self.reads % 10, steps=10)

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self._progress = progress

    reading = False


def restless(it: Scene) -> Restless:
    it.jobs[0] = job = Restless("txt2img", lambda: 100.0, id="first")
    return job


def share(step: int, of: int, done: int, units: int) -> float:
    return 0.01 + done / units + step / of / units


def test_what_is_told_of_a_job_is_of_one_moment():
    it = Scene()
    job = restless(it)
    with it:
        job.started_at = 70.0
        job.reading = True
        report = it.progress("first", picture=False)
        state = report.state
        assert report.progress == pytest.approx(
            share(state.sampling_step, state.sampling_steps, state.job_no, state.job_count)
        )
        assert report.eta_relative == pytest.approx(30 / report.progress - 30)
        task = it.task("first", picture=False)
        assert task.eta == pytest.approx(30 / task.progress - 30)
        job.reading = False


def test_a_job_that_starts_while_it_is_looked_for_is_found():
    """Spec api.md 11.4: neither running nor waiting is what the web UI takes for over."""
    begin = threading.Event()

    class Looking(JobQueue):
        def running(self):
            before = super().running()
            begin.set()
            while self.waiting():
                time.sleep(0.001)
            return before

    queue, end = Looking(time.time), threading.Event()
    job = Job("txt2img", time.time, id="mine")
    queue.enter(job)

    def work():
        assert begin.wait(10)
        with queue.turn(job):
            end.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    task = ReadTaskProgress(queue, MemoryOptions(), lambda id, owner: None)("mine")
    begin.set()
    end.set()
    thread.join(10)
    assert task.active or task.queued
