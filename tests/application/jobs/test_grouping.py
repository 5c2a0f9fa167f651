"""Who overtakes whom, and how far (docs/adr/0018)."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.application.jobs.grouping import Grouping, next_of, note_overtaken, overtaken_by
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue


@dataclass
class Waiter:
    number: int
    models: tuple[str, ...]
    overtaken: int = 0
    overtaken_at: float | None = None
    party: str = ""


class Memory:
    """Holds the checkpoints used last, as many as fit, and counts the loads."""

    def __init__(self, limit: int = 1) -> None:
        self.held: OrderedDict[str, None] = OrderedDict()
        self.limit, self.loads = limit, 0

    def use(self, models: tuple[str, ...]) -> None:
        for model in models:
            self.loads += model not in self.held
            self.held[model] = None
            self.held.move_to_end(model)
        while len(self.held) > max(self.limit, len(models)):
            self.held.popitem(last=False)


def simulated(arrivals, grouping, memory, seconds=1.0):
    """One slot, a job a second. `arrivals` are, for each second, the models of jobs that come
    then. Returns the jobs in the order in which they ran."""
    waiting, ran, now, number = [], [], 0.0, 0
    coming = list(arrivals)
    while coming or waiting:
        for models in coming.pop(0) if coming else ():
            waiting.append(Waiter(number, models))
            number += 1
        if waiting:
            job = next_of(waiting, memory.held, grouping, now)
            note_overtaken(overtaken_by(job, waiting), now)
            waiting.remove(job)
            memory.use(job.models)
            ran.append(job)
        now += seconds
    return ran


MODELS = st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple)
ARRIVALS = st.lists(st.lists(MODELS, max_size=4), max_size=15)


@given(
    ARRIVALS,
    st.integers(0, 4),
    st.sampled_from([0.0, 3.0, 1e9]),
    st.integers(1, 3),
)
def test_every_job_runs_none_is_overtaken_too_often_and_equals_keep_their_order(
    arrivals, overtakes, seconds, limit
):
    memory = Memory(limit)
    ran = simulated(arrivals, Grouping(overtakes, seconds), memory)
    assert sorted(job.number for job in ran) == list(range(sum(map(len, arrivals))))
    assert all(job.overtaken <= overtakes for job in ran)
    if seconds < 1e9:  # a job a second, and the one that took its turn just before the time is up
        assert all(job.overtaken <= seconds for job in ran)
    for models in {job.models for job in ran}:
        same = [job.number for job in ran if job.models == models]
        assert same == sorted(same)
    if not overtakes or not seconds:
        assert [job.number for job in ran] == list(range(len(ran)))


@given(ARRIVALS, st.integers(0, 4))
def test_how_often_a_job_was_overtaken_is_counted_right(arrivals, overtakes):
    ran = simulated(arrivals, Grouping(overtakes), Memory())
    for place, job in enumerate(ran):
        assert job.overtaken == sum(before.number > job.number for before in ran[:place])


def test_two_clients_in_turn_load_once_in_so_many_jobs():
    alternating = [[("a",), ("b",)] * 12]
    loads = []
    for overtakes in (0, 3, 8, 100):
        memory = Memory()
        simulated(alternating, Grouping(overtakes), memory)
        loads.append(memory.loads)
    assert loads == [24, 5, 3, 2]


def test_nothing_is_reordered_where_all_are_in_memory():
    memory = Memory(limit=2)
    memory.use(("a", "b"))
    ran = simulated([[("a",), ("b",)] * 6], Grouping(), memory)
    assert [job.number for job in ran] == list(range(12))
    assert memory.loads == 2


def test_jobs_without_a_checkpoint_neither_overtake_nor_hold_up():
    waiting = [Waiter(0, ("b",)), Waiter(1, ()), Waiter(2, ("a",))]
    assert next_of(waiting, {"a"}, Grouping(), 0.0).number == 2
    assert next_of(waiting[:2], {"a"}, Grouping(), 0.0).number == 0
    assert next_of(waiting[1:], {"a"}, Grouping(), 0.0).number == 1


def test_a_job_that_needs_two_is_there_when_both_are():
    waiting = [Waiter(0, ("c",)), Waiter(1, ("a", "b")), Waiter(2, ("a",))]
    assert next_of(waiting, {"a"}, Grouping(), 0.0).number == 2
    assert next_of(waiting, {"a", "b"}, Grouping(), 0.0).number == 1


def test_a_job_of_another_party_overtakes_only_that_whose_turn_it_is():
    """In the order of turns: first's, then others; of its own party it overtakes those before."""
    first, other = Waiter(0, ("b",), party="ann"), Waiter(1, ("b",), party="eve")
    own, there = Waiter(2, ("b",), party="bob"), Waiter(3, ("a",), party="bob")
    waiting = [first, other, own, there]
    assert next_of(waiting, {"a"}, Grouping(2), 0.0) is there
    assert overtaken_by(there, waiting) == [first, own]
    assert overtaken_by(first, waiting) == []


def test_a_job_overtakes_none_of_its_own_party_that_may_not_be_overtaken():
    first, own = Waiter(0, ("b",), party="ann"), Waiter(1, ("b",), overtaken=2, party="bob")
    there, elses = Waiter(2, ("a",), party="bob"), Waiter(3, ("a",), party="eve")
    assert next_of([first, own, there], {"a"}, Grouping(2), 0.0) is first
    assert next_of([first, own, there, elses], {"a"}, Grouping(2), 0.0) is elses


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_all(queue, memory, jobs, clock=None, seconds=0.0):
    """Let these jobs, which come in this order while another runs, have their turns; returns their
    ids in the order of these."""
    order, lock = [], threading.Lock()

    def work(job):
        with queue.admit(job), lock:
            order.append(job.id)
            memory.use(tuple(job.models))
            if clock:
                clock.now += seconds

    threads = []
    with queue.admit(Job("first", time.time)):
        for place, job in enumerate(jobs):
            threads.append(threading.Thread(target=work, args=(job,)))
            threads[-1].start()
            while len(queue.waiting()) != place + 1:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    return order


def a_and_b(clock, count):
    """a0, b0, a1, b1, ..."""
    return [
        Job("txt2img", clock, id=f"{model}{number}", models=(model,))
        for number in range(count)
        for model in "ab"
    ]


def test_the_queue_groups_by_checkpoint():
    memory, clock = Memory(), Hand()
    queue = JobQueue(clock, grouping=Grouping(2), ready=lambda: tuple(memory.held))
    jobs = a_and_b(clock, 4)
    assert run_all(queue, memory, jobs) == ["a0", "a1", "a2", "b0", "b1", "b2", "b3", "a3"]
    assert memory.loads == 3
    assert max(job.overtaken for job in jobs) == 2


def test_the_queue_stops_overtaking_when_the_time_is_up():
    memory, clock = Memory(), Hand()
    queue = JobQueue(clock, grouping=Grouping(100, 25.0), ready=lambda: tuple(memory.held))
    ran = run_all(queue, memory, a_and_b(clock, 6), clock, seconds=10.0)
    # b0 is overtaken at 10, 20 and 30 s, the first time at 10: at 40 no more.
    assert ran[:5] == ["a0", "a1", "a2", "a3", "b0"]
    assert sorted(ran) == sorted(job.id for job in a_and_b(clock, 6))


def test_without_overtakes_it_is_first_come_first_served():
    memory, clock = Memory(), Hand()
    queue = JobQueue(clock, grouping=Grouping(0), ready=lambda: tuple(memory.held))
    jobs = a_and_b(clock, 4)
    assert run_all(queue, memory, jobs) == [job.id for job in jobs]
    assert memory.loads == 8


def test_what_a_running_job_uses_counts_as_there():
    """With two slots and nothing told of memory: the free slot goes to a job like the other's."""
    queue = JobQueue(time.time, slots=2)
    end, begun, threads = threading.Event(), [], []

    def work(job):
        with queue.admit(job):
            begun.append(job.id)
            end.wait(10)

    with queue.admit(Job("txt2img", time.time, models=("a",))):
        with queue.admit(Job("extras", time.time)):
            for place, (id, model) in enumerate([("b0", "b"), ("a0", "a"), ("b1", "b")]):
                job = Job("txt2img", time.time, id=id, models=(model,))
                threads.append(threading.Thread(target=work, args=(job,)))
                threads[-1].start()
                while len(queue.waiting()) != place + 1:
                    time.sleep(0.001)
        while not begun:
            time.sleep(0.001)
        assert begun == ["a0"]
        assert len(queue.running()) == 2
        end.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_many_jobs_for_few_checkpoints_all_end_and_never_more_than_slots_run(slots):
    memory = Memory()
    queue = JobQueue(
        time.time, slots=slots, max_waiting=64, grouping=Grouping(3), ready=lambda: set(memory.held)
    )
    lock = threading.Lock()
    running = most = 0
    jobs = [Job("txt2img", time.time, models=("abc"[n % 3],)) for n in range(24)]

    def work(job):
        nonlocal running, most
        with queue.admit(job):
            with lock:
                running += 1
                most = max(most, running)
                memory.use(tuple(job.models))
            time.sleep(0.002)
            with lock:
                running -= 1

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not queue.waiting() and not queue.running()
    assert most == slots
    assert max(job.overtaken for job in jobs) <= 3
