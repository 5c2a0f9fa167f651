"""Residency where something else happens meanwhile, or fails midway (spec networks.md 1.5)."""

import threading

import pytest

from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.residency.test_residency import (
    BAD,
    A,
    B,
    C,
    Kept,
    make,
    names,
    touch,
)


class TestWhatEndsMeanwhile:
    """A job does not wait at its end to see the limits kept while somebody is at work: who is does
    so afterwards."""

    def under_way(self, use, *checkpoints):
        """Jobs with these, each in a thread that has to end when it is told."""
        jobs = []
        for each in checkpoints:
            begun, over = threading.Event(), threading.Event()

            def run(checkpoint=each, begun=begun, over=over):
                with use.using(checkpoint):
                    begun.set()
                    assert over.wait(10)

            thread = threading.Thread(target=run)
            thread.start()
            assert begun.wait(10)
            jobs.append((over, thread))

        def end():
            for over, thread in jobs:
                over.set()
                thread.join(10)
                assert not thread.is_alive(), "it waits"

        return end

    def test_while_memory_is_freed(self):
        cache = Kept(3)
        use, _desk = make(caches=[cache])
        end = self.under_way(use, A, B)
        assert sorted(names(use)) == ["a", "b"]
        cache.during = end
        assert use.free() == 3
        assert names(use) == "b"

    def test_while_memory_is_freed_what_is_to_be_unloaded_goes(self):
        cache = Kept(3)
        use, _desk = make(caches=[cache])
        end = self.under_way(use, A)
        use.unload()
        cache.during = end
        use.free()
        assert names(use) == ""

    def test_while_a_load_fails(self):
        use, desk = make()
        end = self.under_way(use, A, B)
        desk.holdings = lambda: 0
        settled = use._settle

        def settle_and_then():
            settled()
            end()

        desk.during = lambda checkpoint: setattr(use, "_settle", settle_and_then)
        with pytest.raises(CheckpointError):
            touch(use, BAD)
        assert names(use) == "b"


class TestWhatFailsMidway:
    def test_what_cannot_be_moved_to_ram_goes_and_the_job_does_not_fail(self):
        use, desk = make(two_places=True, count=2)

        def fail(model):
            model.place = "torn"
            raise MemoryError("no RAM")

        desk.to_ram = fail
        touch(use, A)
        touch(use, B)
        assert (names(use), [each.jobs for each in use.resident()]) == ("b", [0])
        touch(use, A)
        assert desk.did == ["load a", "load b", "load a"]

    def test_what_cannot_be_moved_to_the_device_goes(self):
        """Part of it may be there, and would be counted nowhere."""
        use, desk = make(two_places=True, count=2)
        touch(use, A)
        touch(use, B)
        up = desk.to_device

        def fail(model):
            model.place = "torn"
            raise ValueError("no way")

        desk.to_device = fail
        with pytest.raises(ValueError, match="no way"):
            touch(use, A)
        assert (names(use), use.current()) == ("b", B)
        desk.to_device = up
        (model,) = touch(use, A)
        assert (model.place, desk.did.count("load a")) == ("device", 2)

    def test_limits_that_cannot_be_kept_cost_no_job_its_result(self, caplog):
        use, desk = make()

        def fail():
            raise RuntimeError("CUDA error")

        touch(use, A)
        desk.tidy = fail
        with use.using(B), use.using(C):  # before they begin
            assert [each.jobs for each in use.resident()] == [1, 1]
        assert [each.jobs for each in use.resident()] == [0]  # and as they end
        assert caplog.text.count("CUDA error") >= 2
