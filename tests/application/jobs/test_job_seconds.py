"""A job that has run for as long as it may ends as by an interrupt (spec api.md 11.3)."""

import logging

import msgspec
import pytest
from PIL import Image

from hexfusion.adapters.gpu.fake import FakeInference
from hexfusion.application.jobs.job import Job, JobState
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import JobCancelled, JobTimedOut
from hexfusion.domain.generation import Txt2Img
from tests.application.scripts.scripted import made, of_picture
from tests.application.worlds import World, world

REASON = "the job was stopped after 60 seconds of work (--job-seconds)"


class Ticks:
    """A clock that goes on as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def running(seconds: float = 60) -> tuple[Job, Ticks]:
    ticks = Ticks()
    job = Job("txt2img", lambda: 0.0, ticks=ticks)
    job.seconds = seconds
    job.enter(JobState.RUNNING)
    return job, ticks


def picture() -> Image.Image:
    return Image.new("RGB", (1, 1))


@pytest.mark.parametrize(
    "look",
    [
        lambda job: job.observe(1, 4, picture) is Verdict.INTERRUPT,
        lambda job: job.advance(1, 4) is Verdict.INTERRUPT,
        lambda job: job.verdict() is Verdict.INTERRUPT,
        lambda job: job.cancelled(),
    ],
)
def test_wherever_a_job_looks_it_sees_that_its_time_is_over(look, caplog):
    job, ticks = running()
    ticks.now += 59.9
    assert not look(job)
    assert (job.interrupted, job.timed_out) == (False, False)
    ticks.now += 0.2
    with caplog.at_level(logging.WARNING):
        assert look(job)
    assert (job.interrupted, job.timed_out) == (True, True)
    assert f"job {job.id}: {REASON}" in caplog.text


def test_waiting_does_not_count():
    ticks = Ticks()
    job = Job("txt2img", lambda: 0.0, ticks=ticks)
    job.seconds = 60
    ticks.now += 1000
    assert not job.cancelled()
    job.enter(JobState.RUNNING)
    assert not job.cancelled()
    ticks.now += 60
    assert job.cancelled()


def test_a_clock_that_is_set_does_not_count():
    now = [0.0]
    job = Job("txt2img", lambda: now[0], ticks=Ticks())
    job.seconds = 60
    job.enter(JobState.RUNNING)
    now[0] += 1e9
    assert not job.cancelled()


def test_an_interrupt_by_hand_is_not_called_a_timeout():
    job, ticks = running()
    job.interrupt()
    ticks.now += 100
    assert job.cancelled()
    assert not job.timed_out


def test_the_queue_says_for_how_long():
    queue = JobQueue(lambda: 0.0, seconds=60)
    job = Job("txt2img", lambda: 0.0)
    with queue.admit(job):
        assert job.seconds == 60


class Slow(FakeInference):
    """Each step of the job takes ten seconds of its clock."""

    def __init__(self, ticks: Ticks) -> None:
        super().__init__()
        self._ticks = ticks

    def render(self, plan, observer, sources=None):
        def timed(step, of, preview):
            self._ticks.now += 10
            return observer(step, of, preview)

        return super().render(plan, timed, sources)


@pytest.fixture
def slow(monkeypatch) -> World:
    ticks = Ticks()
    make = Job.__init__
    monkeypatch.setattr(Job, "__init__", lambda *a, **how: make(*a, **{**how, "ticks": ticks}))
    return world(Slow(ticks), seconds=60)


def test_the_pictures_so_far_are_delivered_and_info_says_why(slow):
    request = Txt2Img(prompt="a cat", steps=4, width=64, height=64, n_iter=9, seed=1)
    result = slow.txt2img(request)
    assert [text.partition("Seed: ")[2][:1] for text in result.info.infotexts] == ["1", "2"]
    assert result.info.comments == [REASON]
    whole = world().txt2img(Txt2Img(prompt="a cat", steps=4, width=64, height=64, seed=1))
    assert result.pictures[0].image.tobytes() == whole.pictures[0].image.tobytes()


def test_of_a_script_too(slow):
    result = made(of_picture("loopback", 5, 0.5, "Linear", "None", steps=4), slow)
    assert result.info.comments == [REASON]
    assert 1 <= len(result.info.infotexts) < 5


def test_a_job_in_time_says_nothing(slow):
    result = slow.txt2img(Txt2Img(prompt="a cat", steps=4, width=64, height=64))
    assert result.info.comments is msgspec.UNSET


def test_a_job_without_a_picture_by_then_is_an_error(monkeypatch, slow):
    monkeypatch.setattr(JobQueue, "_start", started_late(JobQueue._start))
    with pytest.raises(JobTimedOut, match=r"60 seconds of work \(--job-seconds\)"):
        slow.txt2img(Txt2Img(prompt="a cat", steps=4, width=64, height=64))


def started_late(start):
    """A job that has lost its time before it makes anything, as while a checkpoint loads."""

    def late(queue, job):
        start(queue, job)
        job._ticks.now += 100

    return late


def test_it_counts_as_cancelled():
    assert issubclass(JobTimedOut, JobCancelled)
