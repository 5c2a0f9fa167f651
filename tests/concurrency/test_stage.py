"""The tool itself: a schedule can be run again, and what it is to see it sees."""

import threading
from pathlib import Path

import pytest

from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from tests.concurrency.guarded import Guard, LockContract, Scene
from tests.concurrency.stage import (
    Deadlock,
    Stage,
    StagedCondition,
    StagedEvent,
    StagedLock,
    StagedThreading,
    TooLong,
)


class Tally:
    """Counts, if it is let."""

    def __init__(self, lock) -> None:
        self._lock = lock
        self._count = 0
        self._seen: dict[int, int] = {}

    def careful(self) -> None:
        with self._lock:
            self._count += 1
            self._seen[self._count] = 1

    def careless(self) -> None:
        self._count += 1

    def peeks(self) -> int:
        return len(self._seen)


def watched(stage: Stage, **guarded: tuple[str, ...]) -> Tally:
    scene = Scene(stage, StagedThreading(stage), Path(), {})
    return scene.watched(Tally, Guard("_lock", **guarded))(StagedLock(stage))


def orders(seed: int) -> list[str]:
    stage, order = Stage(seed), []

    def task(name: str):
        def act() -> None:
            for _ in range(3):
                stage.pause()
                order.append(name)

        return act

    stage.run(task("a"), task("b"), task("c"))
    return order


def test_a_seed_is_a_schedule():
    assert orders(1) == orders(1)
    assert len({tuple(orders(seed)) for seed in range(10)}) > 5
    assert all(sorted(orders(seed)) == sorted("abc" * 3) for seed in range(10))


@pytest.mark.parametrize("seed", range(5))
def test_one_holds_a_lock_and_the_others_wait(seed):
    stage = Stage(seed)
    lock, inside, most = StagedLock(stage), [], []

    def act() -> None:
        with lock:
            inside.append(1)
            stage.pause()
            most.append(len(inside))
            inside.pop()

    stage.run(*[act] * 4)
    assert most == [1] * 4


@pytest.mark.parametrize("name", ["careless", "peeks"])
def test_what_is_touched_without_its_lock_is_told(name):
    stage = Stage()
    tally = watched(stage, touched=("_count", "_seen"))
    with pytest.raises(AssertionError, match=r"Tally\._\w+ (read|written) without _lock"):
        stage.run(tally.careful, getattr(tally, name))


def test_what_is_only_written_with_it_may_be_read_without():
    stage = Stage()
    tally = watched(stage, written=("_count", "_seen"))
    stage.run(tally.careful, tally.peeks)
    with pytest.raises(AssertionError, match="_count written without _lock"):
        stage.run(tally.careless)


def test_a_method_of_what_an_attribute_holds_is_watched():
    stage = Stage()
    tally = watched(stage, called=("_seen.__len__",))
    stage.run(tally.careful)
    with pytest.raises(AssertionError, match=r"_seen\.__len__ called without _lock"):
        stage.run(tally.peeks)


def test_a_lost_update_is_found_by_some_schedule():
    lost = 0
    for seed in range(20):
        tally = watched(stage := Stage(seed), touched=("_count",))
        with pytest.raises(AssertionError):
            stage.run(tally.careless, tally.careless)
        lost += tally._count < 2
    assert lost


def test_all_waiting_for_each_other_is_told():
    stage = Stage(3)
    a, b = StagedLock(stage), StagedLock(stage)

    def act(first: StagedLock, second: StagedLock) -> None:
        with first:
            stage.pause()
            with second:
                pass

    def run(seed: int) -> None:
        stage = Stage(seed)
        a, b = StagedLock(stage), StagedLock(stage)
        stage.run(lambda: act(a, b), lambda: act(b, a))

    deadlocks = 0
    for seed in range(20):
        try:
            run(seed)
        except Deadlock:
            deadlocks += 1
    assert 0 < deadlocks < 20
    with pytest.raises(Deadlock):
        stage.run(StagedEvent(stage).wait)
    with pytest.raises(Deadlock):
        Stage().run(lambda: [a.acquire(), a.acquire(), b])


def test_a_play_without_end_is_told():
    stage = Stage(steps=100)
    with pytest.raises(TooLong):
        stage.run(lambda: [stage.pause() for _ in range(200)])


@pytest.mark.parametrize("seed", range(5))
def test_a_condition_wakes_who_waits_and_time_passes_when_nobody_else_can_go_on(seed):
    stage = Stage(seed)
    changed, items, outcome = StagedCondition(stage), [], []

    def take() -> None:
        with changed:
            outcome.append(changed.wait_for(lambda: bool(items), 5.0))

    def bring() -> None:
        with changed:
            items.append(1)
            changed.notify_all()

    stage.run(take, bring, take)
    assert outcome == [True, True]
    items.clear()
    stage.run(take)
    assert outcome == [True, True, False]
    with pytest.raises(RuntimeError):
        stage.run(changed.notify_all)


def test_what_a_task_raises_is_raised_and_threads_do_not_stay():
    stage = Stage()
    lock = StagedLock(stage)

    def fail() -> None:
        with lock:
            raise ValueError("no")

    def go_on() -> None:
        while True:
            with lock:
                pass

    before = threading.active_count()
    with pytest.raises(ValueError, match="no"):
        stage.run(fail, go_on, go_on)
    assert threading.active_count() == before


class Blind(LockContract):
    """Looks at nothing."""

    guards = {MemoryJobs: []}

    def play(self, scene: Scene) -> None:
        store = scene[MemoryJobs]()
        scene.run(store.records, store.records)


def test_a_play_that_misses_no_lock_fails(tmp_path):
    blind = Blind()
    blind.test_what_is_shared_is_touched_only_with_its_lock(tmp_path)
    with pytest.raises(AssertionError, match="no play fails without the lock"):
        blind.test_each_lock_is_missed_where_it_is_taken_away(tmp_path)
