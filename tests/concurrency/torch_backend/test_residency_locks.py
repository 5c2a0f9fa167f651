"""Checkpoints coming and going: one lock for who loads, one for who looks."""

import contextlib
from types import SimpleNamespace

import pytest

from hexfusion.adapters.gpu.torch_backend.residency import residency
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits
from hexfusion.adapters.gpu.torch_backend.residency.on_device import CheckpointHandler
from hexfusion.adapters.gpu.torch_backend.residency.residency import Residency
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.residency.test_residency import Desk, Kept
from tests.concurrency.guarded import Guard, LockContract, Scene

pytestmark = pytest.mark.torch

EITHER = ("_working", "_state")


class TestResidencyLocks(LockContract):
    guards = {
        Residency: [
            Guard(
                "_state",
                touched=("_last",),
                called=("_held.values", "_held.move_to_end", "_held.__reversed__"),
            ),
            Guard("_state", called=("_held.__setitem__", "_held.pop")),
            Guard("_working", called=("_held.__setitem__", "_held.pop")),
            Guard(EITHER, called=("_held.get", "_held.__getitem__")),
        ]
    }

    def play(self, scene: Scene) -> None:
        made: list[Residency] = []
        held = scene.watched(
            residency._Held,
            Guard("_state", written=("jobs", "ready", "unloaded")),
            lock=lambda name: getattr(made[0], name),
        )
        a, b, bad = (
            Checkpoint(name=name, filename=f"/nowhere/{name}") for name in ("a", "b", "bad")
        )

        class Watched(Desk):
            """Loads and moves only for who holds `_working`."""

            def load(self, checkpoint: Checkpoint):
                scene.held(made[0]._working, f"{checkpoint.name} loaded")
                return super().load(checkpoint)

            def to_device(self, model) -> None:
                scene.held(made[0]._working, f"{model.name} moved")
                super().to_device(model)

            def to_ram(self, model) -> None:
                scene.held(made[0]._working, f"{model.name} moved")
                super().to_ram(model)

            def tidy(self) -> None:
                scene.held(made[0]._working, "tidied up")

        limits = MemoryLimits(count=2, only_last=True)
        cls = scene.given(Residency, _Held=held)
        use = cls(Watched(), lambda: limits, two_places=True, caches=[Kept(5)])
        made.append(use)

        def render(checkpoint: Checkpoint) -> None:
            for _ in range(2):
                with use.using(checkpoint) as (model,):
                    scene.stage.pause()
                    assert (model.name, model.place) == (checkpoint.name, "device")

        def fail() -> None:
            with contextlib.suppress(CheckpointError), use.using(bad):
                raise AssertionError("it does not load")

        def look() -> None:
            use.current()
            use.resident()

        scene.run(lambda: render(a), lambda: render(b), fail, look, use.unload, use.free)
        assert all(not each.jobs for each in use.resident())
        scene.run(lambda: [render(each) for each in (a, b, a)], look)  # one waits in RAM meanwhile
        scene.run(use.free)
        assert not use.resident()


class TestCheckpointHandlerLocks(LockContract):
    guards = {CheckpointHandler: []}

    def play(self, scene: Scene) -> None:
        turn = scene.threading.Lock()
        place = SimpleNamespace(clear=lambda: scene.held(turn, "the device cleared"))
        placing = SimpleNamespace(takes_turns=True, slot=place, device=SimpleNamespace(type="cpu"))
        cls = scene.given(CheckpointHandler, gc=SimpleNamespace(collect=lambda: 0))
        desk = cls(placing, SimpleNamespace(), turn)
        scene.run(desk.tidy, desk.tidy)
