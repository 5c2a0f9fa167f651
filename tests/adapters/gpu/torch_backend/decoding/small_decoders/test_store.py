"""Which file serves which checkpoint (spec images.md 14), and what is said where there is none."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.checkpoint import LoadedCheckpoint, load_checkpoint
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders import taesd
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.approximation import Approximation
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.sd1 import SD1
from hexfusion.adapters.gpu.torch_backend.families.sdxl import SDXL
from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb
from hexfusion.domain.errors import CheckpointError, ModelUnavailable

pytestmark = pytest.mark.torch

STARTER = Path("adapters/storage/assets/hexfusion-starter.safetensors")
#: Of each the one that has other latents.
OTHER = {SD1: SDXL, SDXL: SD1}


@dataclass(frozen=True)
class Model:
    """What is asked of a checkpoint here."""

    family: Family = SD1
    latent_rgb: LatentRgb | None = None
    file: str = "some.safetensors"


def small(models: Path | None) -> SmallDecoders:
    return SmallDecoders(models, torch.device("cpu"), torch.float32)


def put(network: torch.nn.Module, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "family"),
    [("model.pt", SD1), ("vaeapprox-sdxl.pt", SDXL), ("model.safetensors", SD1)],
)
def test_approx_nn_is_the_user_s_file_of_the_family(
    tmp_path: Path, name: str, family: Family
) -> None:
    network = Approximation()
    put(network, tmp_path / "VAE-approx" / name)
    latents = torch.randn(1, 4, 4, 4)
    found = small(tmp_path).approximation(Model(family=family))
    assert found is not None
    assert torch.allclose(found(latents), network(latents), atol=1e-5)
    assert small(tmp_path).approximation(Model(family=OTHER[family])) is None


def test_without_a_file_there_is_no_approx_nn(tmp_path: Path) -> None:
    assert small(tmp_path).approximation(Model()) is None
    assert small(None).approximation(Model()) is None


def test_a_broken_file_of_approx_nn_is_told_once_and_is_no_error(tmp_path: Path, caplog) -> None:
    path = put(taesd.decoder(), tmp_path / "VAE-approx/model.pt")
    decoders = small(tmp_path)
    assert decoders.approximation(Model()) is None
    assert decoders.approximation(Model()) is None
    assert [record.getMessage().startswith(str(path)) for record in caplog.records] == [True]


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "VAE-approx/model.pt"
    decoders, latents, seen = small(tmp_path), torch.randn(1, 4, 2, 2), []
    for number in range(2):
        put(Approximation(), path)
        os.utime(path, ns=(number, number))
        network = decoders.approximation(Model())
        assert network is not None and network is decoders.approximation(Model())
        seen.append(network(latents))
    assert not torch.equal(*seen)


@pytest.mark.parametrize("part", ["decoder", "encoder"])
@pytest.mark.parametrize(("stem", "family"), [("taesd", SD1), ("taesdxl", SDXL)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_taesd_is_found_by_family_and_part(
    tmp_path: Path, part: str, stem: str, family: Family, suffix: str
) -> None:
    put(getattr(taesd, part)(), tmp_path / "VAE-taesd" / f"{stem}_{part}{suffix}")
    assert small(tmp_path).taesd(Model(family=family), part) is not None
    with pytest.raises(ModelUnavailable):
        small(tmp_path).taesd(Model(family=OTHER[family]), part)


def test_a_missing_taesd_says_which_file_belongs_where(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        small(tmp_path).taesd(Model(family=SDXL), "encoder")
    assert str(tmp_path / "VAE-taesd" / "taesdxl_encoder.pth") in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut off", b"\x80\x04cos\nsystem\n(S'x'\ntR."]
)
def test_a_taesd_that_is_no_such_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "VAE-taesd" / "taesd_decoder.pth"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        small(tmp_path).taesd(Model(), "decoder")
    assert caught.value.file == str(path)


@pytest.fixture(scope="module")
def starter() -> LoadedCheckpoint:
    return load_checkpoint(STARTER)


def test_the_starter_s_network_ships_and_is_for_its_latents_alone(
    starter: LoadedCheckpoint, tmp_path: Path
) -> None:
    """Also where there is a file for SD1, whose latents are others."""
    put(Approximation(), tmp_path / "VAE-approx/model.pt")
    latents = torch.randn(1, 4, 4, 4)
    shipped, theirs = small(None).approximation(starter), small(tmp_path).approximation(starter)
    assert shipped is not None and theirs is not None
    assert torch.equal(shipped(latents), theirs(latents))
    foreign = Model(latent_rgb=LatentRgb(((1.0, 0.0, 0.0),) * 4))
    assert small(tmp_path).approximation(foreign) is None
    with pytest.raises(ModelUnavailable, match="hexfusion-starter"):
        small(tmp_path).taesd(starter, "decoder")
