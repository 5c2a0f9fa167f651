import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import CheckpointError
from tests.contracts.inference import (
    InferenceContract,
    KeepsFirstPasses,
    ModelHostContract,
    StartsFromPictures,
    plan,
    render,
)

NAME_ONLY = Checkpoint(name="a.safetensors", filename="/nowhere/a.safetensors")


def sound(path: Path) -> Checkpoint:
    save_file({"weight": np.arange(64, dtype=np.float32)}, path)
    return Checkpoint(name=path.name, filename=str(path))


class TestFakeInference(InferenceContract, KeepsFirstPasses, StartsFromPictures):
    @pytest.fixture
    def backend(self):
        return FakeInference()

    @pytest.fixture
    def checkpoint(self):
        return NAME_ONLY


class TestFakeModelHost(ModelHostContract):
    @pytest.fixture
    def backend(self):
        return FakeInference(read=read_file)

    @pytest.fixture
    def checkpoint(self, tmp_path):
        return sound(tmp_path / "one.safetensors")

    @pytest.fixture
    def other(self, tmp_path):
        return sound(tmp_path / "other.safetensors")


def test_it_is_as_slow_as_asked():
    started = time.monotonic()
    render(FakeInference(seconds_per_step=0.02), plan(NAME_ONLY, steps=3))
    assert time.monotonic() - started >= 0.06


def test_of_other_formats_it_asks_only_that_they_are_there(tmp_path):
    path = tmp_path / "old.ckpt"
    checkpoint = Checkpoint(name=path.name, filename=str(path))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_file(checkpoint)
    path.write_bytes(b"anything")
    read_file(checkpoint)
