"""The inference port over the real networks, on the CPU."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from hexfusion.adapters.gpu.torch_backend.engine import TorchInference  # noqa: E402
from hexfusion.adapters.gpu.torch_backend.precision import FULL  # noqa: E402
from hexfusion.domain.checkpoints import Checkpoint  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import SMALL, random_tensors, sd1_layout  # noqa: E402
from tests.contracts.inference import (  # noqa: E402
    InferenceContract,
    KeepsFirstPasses,
    ModelHostContract,
    StartsFromPictures,
    plan,
    render,
)
from tests.sight import assert_wide  # noqa: E402

pytestmark = pytest.mark.torch


def on_cpu() -> TorchInference:
    return TorchInference(torch.device("cpu"), FULL)


@pytest.fixture(scope="module")
def backend() -> TorchInference:
    return on_cpu()


@pytest.fixture(scope="module")
def checkpoint(shared: Path) -> Checkpoint:
    path = shared / "golden/data/models/Stable-diffusion/tiny.safetensors"
    return Checkpoint(name=path.name, filename=str(path))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    """Two small checkpoints of random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = [folder / "one.safetensors", folder / "other.safetensors"]
    for seed, path in enumerate(paths):
        save_file(random_tensors(sd1_layout(**SMALL), seed), path)
    return [Checkpoint(name=path.name, filename=str(path)) for path in paths]


class TestTorchInference(InferenceContract, KeepsFirstPasses, StartsFromPictures):
    """With the recorded checkpoint."""

    batch_tolerance = 1

    def test_its_pictures_are_wide_enough_to_be_told_apart(self, backend, checkpoint):
        assert_wide(*render(backend, plan(checkpoint, seeds=(1, 2))))


class TestTorchModelHost(ModelHostContract):
    """With checkpoints made here."""

    @pytest.fixture
    def backend(self) -> TorchInference:
        return on_cpu()

    @pytest.fixture
    def checkpoint(self, made: list[Checkpoint]) -> Checkpoint:
        return made[0]

    @pytest.fixture
    def other(self, made: list[Checkpoint]) -> Checkpoint:
        return made[1]

    def test_its_pictures_are_wide_enough_to_be_told_apart(self, backend, checkpoint, other):
        for each in (checkpoint, other):
            assert_wide(*render(backend, plan(each, seeds=(1, 2))))
