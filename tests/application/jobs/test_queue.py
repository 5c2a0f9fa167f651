"""The job queue under many threads."""

import threading
import time

import pytest
from PIL import Image

from hexfusion.application.jobs.job import Job, JobState, Meters, new_task_id
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.domain.errors import JobCancelled, NotFound, QueueFull, ServerStopping


def test_task_ids_look_like_a1111s():
    """Spec api.md 4."""
    id = new_task_id("txt2img")
    assert id.startswith("task(txt2img-") and id.endswith(")")
    assert len(id) == len("task(txt2img-)") + 7


@pytest.mark.parametrize("slots", [1, 3])
def test_never_more_than_slots_run_and_all_finish(slots):
    queue = JobQueue(time.time, slots=slots, max_waiting=50)
    running, most, lock = 0, 0, threading.Lock()

    def work():
        nonlocal running, most
        with queue.admit(Job("txt2img", time.time)):
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.005)
            with lock:
                running -= 1

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == slots
    assert queue.current() is None and not queue.waiting()


def test_first_come_first_served():
    queue = JobQueue(time.time, max_waiting=50)
    order, gate = [], threading.Event()

    def work(name):
        with queue.admit(Job("txt2img", time.time, id=name)):
            gate.wait(10)
            order.append(name)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=work, args=(str(number),)))
        threads[-1].start()
        while len(queue.waiting()) != max(0, number):
            time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert order == [str(number) for number in range(6)]


def test_a_waiting_job_can_be_cancelled_by_id():
    queue = JobQueue(time.time)
    job = Job("txt2img", time.time, id="mine")
    outcome = []
    with queue.admit(Job("txt2img", time.time)):

        def wait():
            with pytest.raises(JobCancelled), queue.admit(job):
                raise AssertionError("it must not run")
            outcome.append(job.state)

        thread = threading.Thread(target=wait)
        thread.start()
        while not queue.waiting():
            time.sleep(0.001)
        queue.interrupt("mine")
        thread.join(10)
    assert outcome == [JobState.CANCELLED]


def test_unknown_ids_are_not_found_and_idle_interrupts_do_nothing():
    queue = JobQueue(time.time)
    queue.interrupt()
    queue.skip()
    with pytest.raises(NotFound):
        queue.interrupt("nobody")


def test_only_the_named_job_hears_an_interrupt():
    queue = JobQueue(time.time, slots=2)
    mine, other = Job("txt2img", time.time, id="mine"), Job("txt2img", time.time, id="other")
    with queue.admit(other), queue.admit(mine):
        queue.interrupt("mine")
        assert (mine.interrupted, other.interrupted) == (True, False)
    assert (mine.state, other.state) == (JobState.CANCELLED, JobState.DONE)


def test_a_preview_that_fails_leaves_the_last_one():
    """Spec api.md 11.2."""
    job = Job("txt2img", time.time)
    job.observe(1, 4, lambda: "first")
    assert job.picture() == "first"

    def broken():
        raise RuntimeError("no decoder")

    job.observe(2, 4, broken)
    assert job.picture() == "first"


def test_a_waiting_job_that_is_cancelled_leaves_at_once_without_its_thread():
    queue = JobQueue(time.time, max_waiting=1)
    waiting = Job("txt2img", time.time)
    with queue.admit(Job("txt2img", time.time)):
        queue.enter(waiting)
        with pytest.raises(QueueFull):
            queue.enter(Job("txt2img", time.time))
        queue.cancel(waiting)
        assert (waiting.state, queue.waiting()) == (JobState.CANCELLED, [])
        queue.enter(Job("txt2img", time.time))  # its place is free
        with pytest.raises(JobCancelled), queue.turn(waiting):
            raise AssertionError("it must not run")


def test_who_has_a_login_sees_and_stops_only_jobs_of_their_own():
    queue = JobQueue(time.time, slots=3)
    anns, bobs = (Job("txt2img", time.time, id="same", owner=name) for name in ("ann", "bob"))
    with queue.admit(anns), queue.admit(bobs):
        assert queue.current("bob") is bobs
        assert queue.find("same", "bob") is bobs
        with pytest.raises(NotFound):
            queue.find("same", "eve")
        queue.interrupt(None, "eve")
        queue.interrupt("same", "bob")
        queue.skip(None, "bob")
        assert (anns.interrupted, bobs.interrupted) == (False, True)
        assert (anns.skipped, bobs.skipped) == (False, True)
        assert queue.find("same") is anns  # who needs no login sees all


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_stop_lets_end_what_ends_in_time_and_returns_the_rest():
    clock = Hand()
    queue = JobQueue(clock, slots=3)
    quick, slow, unknown, waiting = (Job("txt2img", clock) for _ in range(4))
    with queue.admit(quick), queue.admit(slow), queue.admit(unknown):
        queue.enter(waiting)
        for job, steps in ((quick, 8), (slow, 3)):
            job.begin_batch("", 0, 1, [10])
            clock.now += 10
            job.observe(steps, 10, lambda: None)
        queue.stop(30)  # `slow` did two tenths in 10 s
        assert [job.interrupted for job in (quick, slow, unknown)] == [False, True, True]
        assert waiting.state is JobState.CANCELLED
        with pytest.raises(ServerStopping), queue.turn(waiting):
            raise AssertionError("it must not run")
        with pytest.raises(ServerStopping):
            queue.enter(Job("txt2img", clock))
        assert queue.full()
    assert (quick.state, slow.state) == (JobState.DONE, JobState.CANCELLED)


def test_steps_and_jobs_are_metered():
    clock = Hand()
    steps, jobs = [], []
    queue = JobQueue(clock, max_waiting=1, meters=Meters(steps.append, jobs.append))
    job, cancelled = Job("txt2img", clock), Job("txt2img", clock)
    with queue.admit(job):
        for batch in range(2):
            job.begin_batch("", batch, 2, [3])
            for step in (1, 2, 3):
                clock.now += 10 if step == 1 else 2  # the first loads the model
                job.observe(step, 3, lambda: None)
            job.show(["one", "two"])
        queue.enter(cancelled)
        queue.cancel(cancelled)
    assert steps == [2, 2, 2, 2]
    assert jobs == [cancelled, job]
    assert job.pictures_made == 4


def test_who_waits_for_a_change_hears_of_it():
    job = Job("txt2img", time.time)
    assert job.wait(job.changes, 0.01) == job.changes
    heard = []
    seen = job.changes
    thread = threading.Thread(target=lambda: heard.append(job.wait(seen, 10)))
    thread.start()
    job.observe(1, 4, lambda: None)
    thread.join(10)
    assert heard == [seen + 1]


def test_previews_are_numbered():
    """Spec api.md 11.4: `id_live_preview` tells a new one from the one before."""
    job = Job("txt2img", time.time)
    job.observe(1, 4, lambda: "first")
    assert job.picture_number == 0
    for _ in range(2):
        job.picture()
        assert job.picture_number == 1
    job.observe(2, 4, lambda: "second")
    job.picture()
    assert job.picture_number == 2


def test_the_last_job_is_known_without_its_picture():
    """Which may take a quarter of a gigabyte, until another job has begun."""
    queue = JobQueue(lambda: 0.0)
    with queue.admit(Job("txt2img", lambda: 0.0)) as job:
        job.begin_batch("", 0, 1, [4])
        job.show([Image.new("RGB", (8, 8))])
        assert queue.last() is job
    last = queue.last()
    assert (last.id, last.view(), last.picture()) == (job.id, job.view(), None)
    assert job.picture() is not None  # for those who watch it to its end
