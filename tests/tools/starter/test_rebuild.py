"""Training goes on from an exported file, whose state is lost."""

import multiprocessing
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tools.starter.export import ASSET, export
from tools.starter.rebuild import rebuild
from tools.starter.train import Model, Plan, Worker, load_state

#: Its residual branches are silent, and random at each export (vae.Encoder).
ENCODER = "first_stage_model.encoder."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run") / "starter"
    rebuild(ASSET, made)
    return made


def test_exporting_again_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    again = export(folder, tmp_path / "again.safetensors")
    ours, theirs = load_file(again), load_file(ASSET)
    assert ours.keys() == theirs.keys()
    compared = [name for name in theirs if not name.startswith(ENCODER)]
    assert len(compared) > 300
    off = [name for name in compared if ours[name].dtype != theirs[name].dtype]
    # As bits, lest -0 count as 0.
    off += [n for n in compared if not torch.equal(_bits(ours[n]), _bits(theirs[n]))]
    assert off == []


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.uint8) if tensor.ndim else tensor


def test_what_the_file_says_of_itself_stays(folder: Path, tmp_path: Path) -> None:
    again = export(folder, tmp_path / "again.safetensors")
    assert _metadata(again) == _metadata(ASSET)


def _metadata(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as source:
        return source.metadata()


def test_a_worker_takes_the_state_up(folder: Path) -> None:
    model, plan = Model(), Plan(folder, minutes=0.0)
    worker = Worker(0, plan, model, {}, multiprocessing.Value("q", 0))
    state = load_state(folder, "cpu")
    assert state is not None
    model.load_state_dict(state["model"])  # strictly
    assert worker.average.keys() == model.state_dict().keys()
    peaks = [group["peak"] for each in worker.optimisers for group in each.param_groups]
    assert peaks == [plan.muon_lr, plan.adam_lr, plan.adam_lr / 10]


def test_a_folder_with_a_state_is_left_alone(folder: Path) -> None:
    before = (folder / "state.pt").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match=r"state\.pt is there already"):
        rebuild(ASSET, folder)
    assert (folder / "state.pt").stat().st_mtime_ns == before
