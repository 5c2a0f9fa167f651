"""Previews that take long, made by those who look while the job goes on (spec api.md 11.2)."""

import threading

import pytest

from hexfusion.application.jobs.job import Job, JobState

PATIENCE = 10.0


class Slow:
    """A preview that is under way until it is let go on."""

    def __init__(self, picture: str) -> None:
        self.picture = picture
        self.begun, self.go = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return self.picture


def looking(job: Job, slow: Slow) -> tuple[threading.Thread, list[object]]:
    """A client that looks now, once its preview is under way."""
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(job.picture()))
    thread.start()
    assert slow.begun.wait(PATIENCE)
    return thread, seen


def begun(of: int = 2) -> Job:
    job = Job("txt2img", lambda: 0.0)
    job.begin_batch("", 0, of, [20])
    return job


def test_a_preview_that_ends_after_its_batch_is_not_shown_in_the_next():
    job, slow = begun(), Slow("of the first batch")
    job.observe(15, 20, slow)
    thread, seen = looking(job, slow)
    job.show(["the first picture"])
    job.begin_batch("", 1, 2, [20])
    slow.go.set()
    thread.join(PATIENCE)
    assert job.picture() == "the first picture"
    assert seen == ["the first picture"]
    job.observe(1, 20, lambda: "of the second batch")
    assert job.picture(every=3) == "the first picture"  # as yet
    job.observe(2, 20, lambda: "of the second batch")
    assert job.picture(every=3) == "of the second batch"
    assert job.picture_number == 2


def test_a_preview_that_ends_after_its_job_does_not_hide_the_picture():
    job, slow = begun(of=1), Slow("a preview")
    job.observe(15, 20, slow)
    thread, _ = looking(job, slow)
    job.show(["the picture"])
    job.enter(JobState.DONE)
    slow.go.set()
    thread.join(PATIENCE)
    assert (job.picture(), job.picture_number) == ("the picture", 1)


def test_a_batch_without_pictures_takes_its_previews_with_it():
    """A batch that was skipped shows nothing (extras): the next one's previews count anew."""
    job = begun()
    job.observe(15, 20, lambda: "of the first batch")
    assert job.picture() == "of the first batch"
    job.begin_batch("", 1, 2, [20])
    job.observe(1, 20, lambda: "of the second batch")
    assert job.picture() == "of the second batch"


def test_a_batch_that_begins_anew_is_shown_anew():
    """The inference port begins a batch once more when memory ran out: from the first step."""
    job = begun()
    job.observe(15, 20, lambda: "before")
    assert job.picture() == "before"
    job.observe(1, 20, lambda: "after")
    assert job.picture() == "after"


def test_one_makes_a_preview_and_the_others_do_not_wait_for_it():
    job, slow = begun(), Slow("the preview")
    job.observe(1, 20, lambda: "the one before")
    assert job.picture() == "the one before"
    job.observe(2, 20, slow)
    thread, seen = looking(job, slow)
    assert [job.picture() for _ in range(3)] == ["the one before"] * 3
    assert slow.calls == 1
    slow.go.set()
    thread.join(PATIENCE)
    assert seen == ["the preview"]
    assert job.picture() == "the preview"


@pytest.mark.parametrize("error", [RuntimeError("no decoder"), KeyboardInterrupt()])
def test_who_fails_to_make_one_leaves_it_to_the_next(error):
    job = begun()

    def broken():
        raise error

    job.observe(1, 20, broken)
    if isinstance(error, Exception):
        assert job.picture() is None
    else:
        with pytest.raises(KeyboardInterrupt):
            job.picture()
    job.observe(2, 20, lambda: "second")
    assert job.picture() == "second"


def test_a_picture_comes_with_its_own_number():
    """Who shows a finished picture while a preview is looked at changes both, never one of them."""
    job, stop, wrong = begun(), threading.Event(), []

    def watch():
        while not stop.is_set():
            shown = job.preview()
            if shown is not None and shown.image != shown.number:
                wrong.append(shown)

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 3000):
        job.show([number])
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wrong
