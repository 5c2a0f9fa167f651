"""What is done when memory runs out, with torch's own allocator saying so."""

import errno
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from PIL.Image import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from hexfusion.adapters.gpu.torch_backend.engine import TorchInference  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.out_of_memory import ran_out, with_memory  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.precision import FULL  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.residency.eviction import MemoryLimits  # noqa: E402
from hexfusion.application.ports.inference import Verdict  # noqa: E402
from hexfusion.domain.checkpoints import Checkpoint  # noqa: E402
from hexfusion.domain.errors import CheckpointError, OutOfMemory  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout  # noqa: E402
from tests.contracts.inference import pixels, plan, render  # noqa: E402
from tests.sight import assert_mixing_would_show  # noqa: E402

pytestmark = pytest.mark.torch

#: Bytes that no machine has.
TOO_MUCH = 1 << 56


def ask_for_too_much() -> None:
    torch.empty(TOO_MUCH, dtype=torch.uint8)


def test_torchs_allocators_word_for_it_is_known():
    with pytest.raises(RuntimeError) as refused:
        ask_for_too_much()
    assert ran_out(refused.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ..."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GiB)"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_so_are_these(error):
    assert ran_out(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.ENOENT, "no such file"),
        ValueError("out of memory"),
        CheckpointError("a", "out of memory"),
        OutOfMemory("a", "b"),
    ],
)
def test_and_these_are_something_else(error):
    assert not ran_out(error)


def test_work_is_begun_again_only_if_something_was_freed():
    for freed, times in ((0, 1), (5, 2)):
        begun = []

        def work(begun=begun):
            begun.append(None)
            ask_for_too_much()

        with pytest.raises(OutOfMemory, match=r"memory for a test: can't allocate memory: .*"):
            with_memory("a test", work, lambda freed=freed: freed)
        assert len(begun) == times


def test_what_was_allocated_before_is_gone_when_something_is_freed():
    held = []

    def work():
        tensor = torch.zeros(100)
        held.append(weakref.ref(tensor))
        ask_for_too_much()

    def free():
        gc.collect()
        return sum(each() is not None for each in held)

    with pytest.raises(OutOfMemory):
        with_memory("a test", work, free)
    assert len(held) == 1, "the error kept what it interrupted, and so freeing it counted"


def test_other_errors_go_through():
    with pytest.raises(CheckpointError):
        with_memory("a test", lambda: read_bad(), lambda: 1)


def read_bad():
    raise CheckpointError("a", "is bad")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    paths = [folder / f"{name}.safetensors" for name in "ab"]
    for seed, path in enumerate(paths):
        save_file(random_tensors(sd1_layout(**SMALL), seed), path)
    return [Checkpoint(name=path.name, filename=str(path)) for path in paths]


@pytest.fixture
def backend() -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL, limits=lambda: MemoryLimits(count=2))


class Greedy:
    """Asks torch for too much at the second step, as often as it is told to."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.heard: list[int] = []

    def __call__(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        self.heard.append(step)
        if step == 2 and self.times:
            self.times -= 1
            ask_for_too_much()
        return Verdict.CONTINUE


def test_a_render_lets_go_of_other_checkpoints_and_begins_again(backend, checkpoints):
    wanted = plan(checkpoints[0], steps=3)
    others = render(backend, plan(checkpoints[1], steps=3))
    assert_mixing_would_show(*others, *render(backend, wanted))
    backend.unload()
    before = pixels(render(backend, wanted))
    backend.load(checkpoints[1])
    greedy = Greedy(1)
    assert pixels(backend.render(wanted, greedy).pictures) == before
    assert greedy.heard == [1, 2, 1, 2, 3]
    assert [each.checkpoint for each in backend.resident()] == [checkpoints[0]]


@pytest.mark.parametrize("others", [False, True])
def test_one_that_does_not_fit_is_told_and_the_next_is_as_before(backend, checkpoints, others):
    wanted = plan(checkpoints[0], seeds=(1, 2), steps=3, width=64, height=128)
    before = pixels(render(backend, wanted))
    if others:
        backend.load(checkpoints[1])
    for _ in range(2):
        with pytest.raises(OutOfMemory, match=r"for 2 pictures of 64x128: .*allocate"):
            backend.render(wanted, Greedy(9))
        assert pixels(render(backend, wanted)) == before
    assert all(each.jobs == 0 for each in backend.resident())
