"""Recorded pictures through the whole house. All of them: benchmarks/goldens.py."""

from pathlib import Path

import pytest

import bootstrap
from adapters.http.app import Services
from benchmarks import goldens
from benchmarks.harness import data_directory

pytestmark = pytest.mark.torch

#: Each sampler with its own schedule, and each schedule once. (Karras was not recorded with Euler.)
CASES = (
    "samplers/Euler",
    "samplers/Euler_a",
    "samplers/DPMpp_2M",
    "samplers/DPMpp_SDE",
    "samplers/Heun",
    "samplers/DDIM",
    "schedulers/Euler__uniform",
    "schedulers/Euler__exponential",
    "schedulers/Euler__sgm_uniform",
    "schedulers/DPMpp_2M__karras",
)


@pytest.fixture(scope="module")
def use(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Services:
    tiny = shared / "golden/data/models/Stable-diffusion/tiny.safetensors"
    data = data_directory(tmp_path_factory.mktemp("data"), tiny)
    return bootstrap.build(["--data-dir", str(data)])


@pytest.mark.parametrize("name", CASES)
def test_the_recorded_picture_and_infotext(use: Services, shared: Path, name: str) -> None:
    """Spec sampling.md 2 to 5, prompts.md 8; the bar is golden/README.md's 2/255."""
    case = goldens.recording(shared / "golden" / f"{name}.json")
    assert case is not None and case.listed
    replayed = goldens.replay(use, case)
    assert replayed.difference is not None and replayed.difference <= goldens.TOLERANCE
    assert replayed.same_infotext, replayed.note
