"""Checkpoints coming and going, with networks that are names (spec networks.md 1.5)."""

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.residency import Residency
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError, OutOfMemory


def named(name: str) -> Checkpoint:
    return Checkpoint(name=name, filename=f"/nowhere/{name}")


A, B, C, BAD = (named(name) for name in ("a", "b", "c", "bad"))


@dataclass(eq=False)
class Network:
    name: str
    place: str = "device"


@dataclass
class Desk:
    """Handles networks, and writes down what it does. Each takes 10; `memory` is what there is on
    the device."""

    memory: int = 1 << 40
    did: list[str] = field(default_factory=list)
    alive: list[Network] = field(default_factory=list)
    holdings: Callable[[], int] = lambda: 0
    during: Callable[[Checkpoint], None] = lambda checkpoint: None

    def load(self, checkpoint: Checkpoint) -> Network:
        self.did.append(f"load {checkpoint.name}")
        self.during(checkpoint)
        if checkpoint.name == "bad":
            raise CheckpointError(checkpoint.filename, "is bad")
        if self.holdings() + 10 > self.memory:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return Network(checkpoint.name)

    def expected(self, checkpoint: Checkpoint) -> int:
        return 10

    def size(self, model: Network) -> int:
        return 10

    def to_device(self, model: Network) -> None:
        self.did.append(f"up {model.name}")
        model.place = "device"

    def to_ram(self, model: Network) -> None:
        self.did.append(f"down {model.name}")
        model.place = "ram"

    def tidy(self) -> None:
        pass


class Kept:
    """A cache of so many bytes. Others may do something `during` its dropping."""

    def __init__(self, size: int, during: Callable[[], None] = lambda: None) -> None:
        self.bytes = size
        self.during = during

    def size(self) -> int:
        return self.bytes

    def drop(self) -> int:
        self.during()
        size, self.bytes = self.bytes, 0
        return size


def make(desk=None, *, two_places=False, caches=(), **limits):
    desk = desk or Desk()
    use = Residency(desk, lambda: MemoryLimits(**limits), two_places=two_places, caches=caches)
    desk.holdings = lambda: sum(each.size for each in use.resident() if each.ready)
    return use, desk


def touch(use, *checkpoints):
    with use.using(*checkpoints) as models:
        return models


def names(use):
    return "".join(each.checkpoint.name for each in use.resident())


def test_the_one_used_last_stays_and_is_not_loaded_again():
    use, desk = make()
    first = touch(use, A)
    assert touch(use, A) == first
    touch(use, B)
    assert (names(use), use.current()) == ("b", B)
    assert desk.did == ["load a", "load b"]


def test_as_many_stay_as_the_option_says():
    use, desk = make(count=2)
    for each in (A, B, A, C, A):
        touch(use, each)
    assert (names(use), desk.did) == ("ac", ["load a", "load b", "load c"])


def test_those_one_job_needs_together_stay_together():
    """A refiner, or another checkpoint for the second pass, with a limit of one."""
    use, desk = make()
    for _ in range(3):
        base, refiner = touch(use, A, B)
        assert (base.name, refiner.name) == ("a", "b")
    assert (desk.did, use.current()) == (["load a", "load b"], A)
    touch(use, B)
    assert names(use) == "b"


def test_what_a_job_uses_is_not_let_go_of():
    use, desk = make()
    with use.using(A):
        touch(use, B)
        assert sorted(names(use)) == ["a", "b"]
        touch(use, C)
        assert sorted(names(use)) == ["a", "c"]
        assert [each.jobs for each in use.resident() if each.checkpoint == A] == [1]
    assert names(use) == "c"
    assert desk.did == ["load a", "load b", "load c"]


def test_the_budget_counts_what_is_kept_in_caches_too():
    cache = Kept(15)
    use, _desk = make(count=9, ram=40, caches=[cache])
    touch(use, A)
    touch(use, B)
    assert (names(use), cache.bytes) == ("ba", 15)
    touch(use, C)  # 45: caches go first
    assert (names(use), cache.bytes) == ("cba", 0)
    touch(use, named("d"))
    touch(use, named("e"))
    assert names(use) == "edcb"


def test_what_a_job_put_into_caches_counts_when_it_ends():
    """Merged LoRAs, say: the checkpoint used longest ago makes room for them."""
    cache = Kept(0)
    use, _desk = make(count=9, ram=40, caches=[cache])
    touch(use, B)
    with use.using(A):
        cache.bytes = 25
    assert (names(use), cache.bytes) == ("a", 25)


def test_one_larger_than_the_budget_is_loaded_all_the_same():
    use, desk = make(count=2, ram=5)
    touch(use, A)
    touch(use, B)
    assert names(use) == "b"
    assert desk.did == ["load a", "load b"]


def test_a_failed_load_leaves_the_one_before():
    use, desk = make()
    (first,) = touch(use, A)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="is bad"):
            touch(use, BAD)
        assert (use.current(), touch(use, A)) == (A, [first])
    assert desk.did == ["load a", "load bad", "load bad"]


def test_where_it_had_to_make_room_it_is_loaded_again():
    use, desk = make(ram=15)
    touch(use, A)
    with pytest.raises(CheckpointError):
        touch(use, BAD)
    assert (use.current(), names(use)) == (A, "a")
    assert desk.did == ["load a", "load bad", "load a"]


def test_a_check_that_fails_leaves_the_one_before():
    use, _desk = make()
    touch(use, A)

    def refuse(models):
        raise CheckpointError("/vae", f"does not fit {models[0].name}")

    with pytest.raises(CheckpointError, match="fit b"), use.using(B, check=refuse):
        raise AssertionError("it must not be had")
    assert (use.current(), names(use)) == (A, "a")


def test_of_several_where_one_is_bad_none_stays():
    use, _desk = make()
    touch(use, C)
    with pytest.raises(CheckpointError):
        touch(use, A, BAD)
    assert (use.current(), names(use)) == (C, "c")


def test_after_unloading_nothing_is_there():
    cache = Kept(5)
    use, desk = make(caches=[cache])
    touch(use, A)
    use.unload()
    use.unload()
    assert (use.current(), names(use), cache.bytes) == (None, "", 0)
    touch(use, A)
    assert desk.did == ["load a", "load a"]


def test_what_a_job_uses_is_unloaded_when_it_ends():
    use, _desk = make()
    with use.using(A):
        use.unload()
        assert (use.current(), names(use)) == (None, "a")
    assert names(use) == ""


def test_one_that_is_unloaded_and_used_again_stays():
    use, desk = make()
    with use.using(A):
        use.unload()
        touch(use, A)
    assert (use.current(), names(use), desk.did) == (A, "a", ["load a"])


class TestADeviceOfItsOwn:
    """Option sd_checkpoints_keep_in_cpu."""

    def test_what_was_not_used_last_waits_in_ram(self):
        use, desk = make(two_places=True, count=2)
        touch(use, A)
        touch(use, B)
        assert [(each.checkpoint, each.ready) for each in use.resident()] == [(B, True), (A, False)]
        (model,) = touch(use, A)
        assert model.place == "device"
        assert desk.did == ["load a", "load b", "down a", "up a", "down b"]

    def test_or_stays_if_the_option_says_so(self):
        use, desk = make(two_places=True, count=2, only_last=False)
        for each in (A, B, A):
            touch(use, each)
        assert desk.did == ["load a", "load b"]

    def test_one_too_many_goes_without_a_detour(self):
        use, desk = make(two_places=True)
        touch(use, A)
        touch(use, B)
        assert desk.did == ["load a", "load b"]

    def test_where_both_are_too_much_the_one_before_waits_in_ram_until_the_other_is_there(self):
        use, desk = make(two_places=True, device=15)
        touch(use, A)
        touch(use, B)
        assert (desk.did, names(use)) == (["load a", "down a", "load b"], "b")
        with pytest.raises(CheckpointError):
            touch(use, BAD)
        assert desk.did[3:] == ["down b", "load bad", "up b"]
        assert use.current() == B and use.resident()[0].ready

    def test_what_a_job_uses_is_not_moved_until_it_ends(self):
        use, _desk = make(two_places=True, count=3)
        with use.using(A) as (model,):
            touch(use, B)
            assert model.place == "device"
        assert model.place == "ram"

    def test_unloading_frees_the_device(self):
        """Spec networks.md 6: the model is moved to RAM, and back."""
        use, desk = make(two_places=True)
        touch(use, A)
        use.unload()
        assert (use.current(), use.resident()[0].ready) == (None, False)
        touch(use, A)
        assert desk.did == ["load a", "down a", "up a"]

    def test_what_ram_has_no_room_for_goes(self):
        use, _desk = make(two_places=True, ram=5)
        touch(use, A)
        use.unload()
        assert names(use) == ""


class TestOutOfMemory:
    def test_a_load_frees_what_nobody_uses_and_is_begun_again(self):
        use, desk = make(Desk(memory=25), count=9, caches=[Kept(3)])
        for each in (A, B, C):
            touch(use, each)
        assert desk.did == ["load a", "load b", "load c", "load c"]
        assert (names(use), use.current()) == ("c", C)

    def test_a_load_that_does_not_fit_at_all_is_told_and_the_one_before_stays(self):
        use, desk = make(Desk(memory=15), count=9)
        with use.using(A) as (model,):
            with pytest.raises(OutOfMemory, match=r"checkpoint b: .*Cannot allocate memory"):
                touch(use, B)
            assert use.current() == A
            assert touch(use, A) == [model]
        assert desk.did == ["load a", "load b"]

    def test_the_one_before_comes_back_if_it_was_let_go_of_in_vain(self):
        use, desk = make(Desk(memory=10), count=9)
        touch(use, A)

        def shrink(checkpoint):
            desk.memory = 5 if checkpoint == B else 10

        desk.during = shrink
        with pytest.raises(OutOfMemory):
            touch(use, B)
        assert desk.did == ["load a", "load b", "load b", "load a"]
        assert use.current() == A

    def test_all_that_nobody_uses_is_freed(self):
        use, _desk = make(count=9, caches=[Kept(7)])
        touch(use, B)
        with use.using(A):
            assert use.free() == 17
            assert names(use) == "a"
            assert use.free() == 0

    def test_of_those_needed_together_the_first_does_not_give_way_to_the_second(self):
        use, desk = make(Desk(memory=15), count=9)
        with pytest.raises(OutOfMemory, match="checkpoint b"):
            touch(use, A, B)
        assert desk.did == ["load a", "load b"]
        desk.memory = 20
        touch(use, C)
        base, refiner = touch(use, A, B)
        assert (base.name, refiner.name, names(use)) == ("a", "b", "ab")

    def test_one_whose_file_was_replaced_gives_way_to_what_it_holds_now(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("one")
        checkpoint = Checkpoint(name="a", filename=str(path))
        use, desk = make(Desk(memory=15), count=9)
        touch(use, checkpoint)
        path.write_text("another")
        touch(use, checkpoint)
        assert (desk.did, names(use)) == (["load a"] * 3, "a")

    def test_both_that_were_used_last_come_back(self):
        use, desk = make(Desk(memory=20), count=9)
        touch(use, A, B)

        def shrink(checkpoint):
            desk.memory = 5 if checkpoint == C else 20

        desk.during = shrink
        with pytest.raises(OutOfMemory):
            touch(use, C)
        assert (sorted(names(use)), use.current()) == (["a", "b"], A)


def test_a_file_that_was_replaced_is_loaded_again(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    checkpoint = Checkpoint(name="a", filename=str(path))
    use, desk = make()
    with use.using(checkpoint) as (before,):
        path.write_text("another")
        (after,) = touch(use, checkpoint)
        assert after is not before
        path.unlink()  # what is in memory serves on
        assert touch(use, checkpoint) == [after]
    assert desk.did == ["load a"] * 2


def together(count, work):
    errors = []

    def run(index):
        try:
            work(index)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return errors


def test_many_who_want_the_same_at_once_load_it_once():
    barrier = threading.Barrier(8)
    got = []
    use, desk = make()

    def work(index):
        barrier.wait(10)
        got.append(touch(use, A)[0])

    assert together(8, work) == []
    assert desk.did == ["load a"]
    assert len(set(map(id, got))) == 1


def test_who_needs_no_load_does_not_wait_for_one():
    loading, done = threading.Event(), threading.Event()

    def slowly(checkpoint):
        if checkpoint == B:
            loading.set()
            assert done.wait(10)

    use, _desk = make(Desk(during=slowly))
    touch(use, A)
    thread = threading.Thread(target=lambda: touch(use, B))
    thread.start()
    assert loading.wait(10)
    assert touch(use, A)[0].name == "a"  # and it ends, too, without waiting
    assert use.current() == A
    done.set()
    thread.join(10)
    assert (names(use), use.current()) == ("b", B)


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([A, B, C, BAD]), min_size=1, max_size=2), st.booleans()),
        max_size=8,
    ),
    st.booleans(),
    st.builds(
        dict,
        count=st.integers(1, 3),
        only_last=st.booleans(),
        device=st.integers(5, 40),
        ram=st.integers(5, 40),
    ),
)
def test_whatever_comes_jobs_have_what_they_asked_for_where_it_computes(jobs, two_places, limits):
    """Jobs inside jobs: each `with` is one that is under way while the next ones come."""
    use, _desk = make(two_places=two_places, **limits)

    def go(rest):
        if not rest:
            return
        (wanted, unloads), *others = rest
        wanted = list(dict.fromkeys(wanted))
        before = use.current()
        try:
            with use.using(*wanted) as models:
                assert [each.name for each in models] == [each.name for each in wanted]
                go(others)
                assert all(each.place == "device" for each in models)
                if unloads:
                    use.unload()
        except CheckpointError:
            assert BAD in wanted
            assert use.current() == before
            go(others)

    go(jobs)
    idle = use.resident()
    assert all(each.jobs == 0 for each in idle)
    assert all(each.ready == (each_model(use, each).place == "device") for each in idle)


def each_model(use, resident):
    return use._held[resident.checkpoint.filename].model


def test_many_threads_with_few_places_never_see_one_that_was_moved_away():
    use, _desk = make(two_places=True, count=2, device=15)
    wrong = []

    def work(index):
        for turn in range(30):
            with use.using((A, B, C)[(index + turn) % 3]) as (model,):
                if model.place != "device":
                    wrong.append(model)
            if turn % 10 == index:
                use.unload()

    assert together(4, work) == []
    assert wrong == []
    assert all(each.jobs == 0 for each in use.resident())
    assert len(use.resident()) <= 2
