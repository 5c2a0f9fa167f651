"""What many threads share here is looked at, and changed, with its lock held; and no lock that
readers need is held for as long as a load takes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.decoding import vae_files  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders import store as decoder_files  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.taesd import decoder  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.extra_networks import store as additions  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency import residency  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placing  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency.residency import Cache, Residency  # noqa: E402
from hexfusion.domain.errors import CheckpointError  # noqa: E402
from hexfusion.domain.plan import HypernetworkPlan, LoraPlan, NetworksPlan  # noqa: E402
from hexfusion.domain.vaes import VaeFile  # noqa: E402
from tests.adapters.gpu.torch_backend.extra_networks.files import deltas, write_lora  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import (  # noqa: E402
    SMALL,
    random_tensors,
    sd1_layout,
    vae_layout,
    write_small,
)
from tests.adapters.gpu.torch_backend.residency.test_residency import BAD, A, B, Desk, Kept, touch  # noqa: E402

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


class Guarded(OrderedDict):
    """Says where it is changed or run through without the one lock, or looked at without either."""

    def __init__(self, change: threading.Lock, look: threading.Lock) -> None:
        super().__init__()
        self.change, self.look = change, look


def guarded(name: str, changes: bool):
    def method(self, *args, **kwargs):
        if hasattr(self, "change"):
            held = self.change.locked() or (not changes and self.look.locked())
            assert held, f"{name} without its lock"
        return getattr(OrderedDict, name)(self, *args, **kwargs)

    return method


# Who runs through it must not meet another who changes its order.
for _name in ("__setitem__", "__delitem__", "pop", "popitem", "move_to_end", "clear", "__iter__",
              "__reversed__", "values", "items"):  # fmt: skip
    setattr(Guarded, _name, guarded(_name, True))
for _name in ("__getitem__", "get", "__contains__"):
    setattr(Guarded, _name, guarded(_name, False))


class Watched(Residency):
    """A residency whose state tells where it is touched without its lock."""

    @property
    def _last(self):
        assert self._state.locked(), "_last without its lock"
        return self.__dict__["last"]

    @_last.setter
    def _last(self, value):
        assert "last" not in self.__dict__ or self._state.locked(), "_last without its lock"
        self.__dict__["last"] = value


@pytest.mark.parametrize("two_places", [False, True])
def test_residency_touches_its_state_with_the_lock_held(two_places, monkeypatch, caplog):
    """One thread, so that a lock that is held is held by whoever touches."""
    limits = MemoryLimits(count=2)
    use = Watched(Desk(), lambda: limits, two_places=two_places, caches=[Kept(3)])
    use._held = Guarded(use._state, use._working)

    def set_with_lock(held, name, value):
        if name in ("jobs", "ready", "unloaded") and name in vars(held):
            assert use._state.locked(), f"{name} without its lock"
        object.__setattr__(held, name, value)

    monkeypatch.setattr(residency._Held, "__setattr__", set_with_lock)
    for _ in range(2):
        touch(use, A, B)
        with use.using(A):
            assert use.current() == A and len(use.resident()) == 2
            use.unload()
        with pytest.raises(CheckpointError):
            touch(use, BAD)
        touch(use, B)
        use.free()
    limits = MemoryLimits(count=1)
    touch(use, A)
    touch(use, B)
    assert all(each.jobs == 0 for each in use.resident())
    assert "without its lock" not in caplog.text  # what fails while limits are kept is logged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_small(folder / "small.safetensors")
    layout = vae_layout(SMALL["vae_channels"], SMALL["vae_blocks"])
    save_file(random_tensors(layout, 1), folder / "vae.safetensors")
    layout = sd1_layout(**SMALL)
    write_lora(
        folder / "lora.safetensors",
        deltas(layout, [name for name in layout if name.endswith("to_q.weight")]),
    )
    pair = {"linear.0.weight": torch.ones(48, 48), "linear.0.bias": torch.zeros(48)}
    about = {"layer_structure": [1, 1], "step": 1, "name": "x"}
    torch.save({48: (pair, pair), **about}, folder / "hyper.pt")
    (folder / "VAE-taesd").mkdir()
    torch.save(decoder().state_dict(), folder / "VAE-taesd/taesd_decoder.pth")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedCheckpoint:
    return load_checkpoint(folder / "small.safetensors")


@dataclass
class Case:
    """A cache, what is asked of it, and what it loads with: a module's function."""

    cache: Cache
    ask: Callable[[], object]
    module: object
    function: str


@pytest.fixture(params=["vae", "decoder", "lora", "hypernetwork"])
def case(request, folder, model) -> Case:
    store = additions.NetworkStore()
    match request.param:
        case "vae":
            files = vae_files.VaeFiles(CPU, torch.float32)
            vae = VaeFile(name="v", filename=str(folder / "vae.safetensors"))
            return Case(files, lambda: files.get(vae, model), vae_files, "load_vae")
        case "decoder":
            small = decoder_files.SmallDecoders(folder, CPU, torch.float32)
            return Case(small, lambda: small.taesd(model, "decoder"), decoder_files, "read_weights")
        case "lora":
            lora = LoraPlan(name="l", path=str(folder / "lora.safetensors"))
            plan = NetworksPlan(loras=(lora,))
            return Case(store, lambda: store.additions(plan, model).shared, additions, "read_lora")
        case _:
            hyper = HypernetworkPlan(name="h", path=str(folder / "hyper.pt"))
            plan = NetworksPlan(hypernetworks=(hyper,))

            def layers():
                (made,) = store.additions(plan, model).hypernetworks
                return made._networks

            return Case(store, layers, additions, "read_hypernetwork")


class Slowly:
    """The function, which waits for a sign before it begins."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        self.begun.set()
        assert self.go_on.wait(20)
        return self.function(*args, **kwargs)


@pytest.fixture
def slowly(case, monkeypatch) -> Slowly:
    slow = Slowly(getattr(case.module, case.function))
    monkeypatch.setattr(case.module, case.function, slow)
    return slow


def test_nobody_who_counts_or_frees_waits_for_a_load(case, slowly):
    """Who ends a job counts, and must not wait for what others load."""
    with ThreadPoolExecutor(3) as pool:
        loading = pool.submit(case.ask)
        try:
            assert slowly.begun.wait(20)
            assert pool.submit(case.cache.size).result(20) == 0
            assert pool.submit(case.cache.drop).result(20) == 0
        finally:
            slowly.go_on.set()
        held = loading.result(20)
    assert held is not None and case.cache.size() > 0


def test_what_several_want_at_once_is_loaded_once(case, slowly):
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(case.ask) for _ in range(4)]
        try:
            assert slowly.begun.wait(20)
            # The others have the time to begin as well, if nothing keeps them from it.
            threading.Event().wait(0.2)
        finally:
            slowly.go_on.set()
        got = [each.result(20) for each in asked]
    assert slowly.calls == 1
    assert len(set(map(id, got))) == 1


def test_caches_touch_what_they_hold_with_the_lock_held(folder, model):
    vaes = vae_files.VaeFiles(CPU, torch.float32)
    small = decoder_files.SmallDecoders(folder, CPU, torch.float32)
    copies = VaeCopies(Placing(CPU))
    store = additions.NetworkStore()
    vaes._held = Guarded(vaes._lock, vaes._lock)
    small._held = Guarded(small._lock, small._lock)
    copies._held = Guarded(copies._lock, copies._lock)
    store._hypernetworks = Guarded(store._lock, store._lock)
    store._last = Guarded(store._lock, store._lock)
    store._alive = Guarded(store._lock, store._lock)
    lora = LoraPlan(name="l", path=str(folder / "lora.safetensors"))
    hyper = HypernetworkPlan(name="h", path=str(folder / "hyper.pt"))
    networks = NetworksPlan(loras=(lora,), hypernetworks=(hyper,))
    for _ in range(2):
        vaes.get(VaeFile(name="v", filename=str(folder / "vae.safetensors")), model)
        small.taesd(model, "decoder")
        copies.of(model.vae, torch.bfloat16)
        made = store.additions(networks, model)
        assert all(cache.size() > 0 for cache in (vaes, small, copies, store))
        del made
        for cache in (vaes, small, copies, store):
            cache.drop()
