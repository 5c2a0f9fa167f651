"""The job queue under many threads."""

import threading
import time

import pytest

from application.jobs import Job, JobQueue, JobState, new_task_id
from domain.errors import JobCancelled, NotFound


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
