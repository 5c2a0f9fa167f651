"""The face restorer on torch keeps the port's promises, with narrow networks whose detector takes
white dots for faces."""

import os
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops

from hexfusion.adapters.gpu.torch_backend.faces.catalogue import FaceCatalogue
from hexfusion.adapters.gpu.torch_backend.faces.restorer import TorchFaceRestorer
from hexfusion.adapters.storage.folders import files_below
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import CheckpointError, ModelUnavailable, NotANumber, OutOfMemory
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, GFPGAN
from tests.adapters.gpu.torch_backend.faces import files, layouts
from tests.contracts.face_restorer import Box, FaceRestorerContract, by

pytestmark = pytest.mark.torch


def restorer_of(folder: Path) -> TorchFaceRestorer:
    folders = {CODEFORMER: [folder / "Codeformer"], GFPGAN: [folder / "GFPGAN"]}
    catalogue = FaceCatalogue(folders, files_below)
    devices = dict.fromkeys(FACE_RESTORERS, torch.device("cpu"))
    return TorchFaceRestorer(catalogue, devices, threading.Lock())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> TorchFaceRestorer:
    """Its networks are read once."""
    folder = tmp_path_factory.mktemp("models")
    files.write_models(folder)
    return restorer_of(folder)


class TestTorchFaceRestorer(FaceRestorerContract):
    @pytest.fixture
    def restorer(self, loaded: TorchFaceRestorer) -> TorchFaceRestorer:
        return loaded

    @pytest.fixture
    def portrait(self) -> Image.Image:
        return files.portrait()

    @pytest.fixture
    def box(self) -> Box:
        return files.BOX

    @pytest.fixture
    def faceless(self) -> Image.Image:
        return files.dim()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    files.write_models(tmp_path)
    return tmp_path


def test_faces_are_stopped_between(models: Path):
    """Two faces, and a stop after the first: the other stays as it was."""
    picture = Image.new("RGB", (256, 128))
    picture.paste(files.portrait(), (0, 0))
    picture.paste(files.portrait(), (128, 0))
    restorer, heard = restorer_of(models), []

    def changed(verdict: Verdict) -> tuple[int, int, int, int] | None:
        def advance(done: int, of: int) -> Verdict:
            heard.append((done, of))
            return verdict

        made = restorer.restore(picture, by(GFPGAN), advance=advance)
        return ImageChops.difference(made, picture).getbbox()

    both, one = changed(Verdict.CONTINUE), changed(Verdict.SKIP)
    assert heard == [(1, 2), (2, 2), (1, 2)]
    assert both is not None and both[0] < 128 < both[2]
    assert one is not None and (one[2] <= 128 or one[0] >= 128)


MISSING = {
    "Codeformer/codeformer-v0.1.0.pth": ([GFPGAN], CODEFORMER),
    "GFPGAN/GFPGANv1.4.pth": ([CODEFORMER], GFPGAN),
    "GFPGAN/detection_Resnet50_Final.pth": ([], GFPGAN),
    "GFPGAN/parsing_parsenet.pth": ([], CODEFORMER),
}


@pytest.mark.parametrize("missing", MISSING)
def test_what_a_file_is_missing_of_is_not_listed_and_says_what_to_put_where(
    models: Path, missing: str
):
    listed, asked = MISSING[missing]
    (models / missing).unlink()
    restorer = restorer_of(models)
    assert list(restorer.list()) == listed
    folder, name = missing.split("/")
    for ask in (lambda: restorer.check(asked), lambda: restorer.restore(files.dim(), by(asked))):
        with pytest.raises(ModelUnavailable) as caught:
            ask()
        assert str(caught.value) == f"{asked} needs {name} in {models / folder}"


def test_an_empty_folder_lacks_everything(tmp_path: Path):
    restorer = restorer_of(tmp_path)
    assert list(restorer.list()) == []
    with pytest.raises(ModelUnavailable) as caught:
        restorer.check(CODEFORMER)
    assert str(caught.value) == (
        f"CodeFormer needs codeformer-v0.1.0.pth in {tmp_path / 'Codeformer'} and "
        f"detection_Resnet50_Final.pth and parsing_parsenet.pth in {tmp_path / 'GFPGAN'}"
    )


def test_files_are_found_as_a1111_finds_them(models: Path):
    """Spec images.md 11: any .pth that is CodeFormer's, the first with GFPGAN in its name."""
    (models / "Codeformer/codeformer-v0.1.0.pth").rename(models / "Codeformer/mine10.pth")
    (models / "Codeformer/mine2.pth").write_bytes(b"")
    (models / "GFPGAN/GFPGANv1.3.pth").write_bytes(b"")
    (models / "GFPGAN/a.pth").write_bytes(b"")
    folders = {CODEFORMER: [models / "Codeformer"], GFPGAN: [models / "GFPGAN", models]}

    def network(model: str, chosen: str | None = None) -> str:
        return FaceCatalogue(folders, files_below, chosen).find(model).network.name

    assert network(CODEFORMER) == "mine2.pth"  # in natural order
    assert network(GFPGAN) == "GFPGANv1.3.pth"
    assert network(GFPGAN, "GFPGANv1.4.pth") == "GFPGANv1.4.pth"  # --gfpgan-model
    assert network(GFPGAN, str(models / "GFPGAN/a.pth")) == "a.pth"
    catalogue = FaceCatalogue(folders, files_below, "gone.pth")
    assert catalogue.usable() == [CODEFORMER]
    with pytest.raises(ModelUnavailable, match=r"gone\.pth"):
        catalogue.find(GFPGAN)


def test_a_file_that_is_put_right_is_read_again(models: Path):
    restorer, file = restorer_of(models), models / "GFPGAN/GFPGANv1.4.pth"
    good = file.read_bytes()
    for bad in (b"", b"PK\x03\x04 nonsense", good[: len(good) // 2]):
        file.write_bytes(bad)
        os.utime(file, ns=(0, len(bad)))
        with pytest.raises(CheckpointError, match=r"GFPGANv1\.4\.pth"):
            restorer.restore(files.portrait(), by(GFPGAN))
    file.write_bytes(good)
    assert restorer.restore(files.portrait(), by(GFPGAN)) != files.portrait()


def test_nan_is_an_error_and_no_picture(models: Path):
    """A1111 logs it and leaves the face as it was."""
    state = layouts.drawn(layouts.NARROW_GFPGAN, 2)
    state["final_conv.bias"][0] = float("nan")
    torch.save({"params_ema": state}, models / "GFPGAN/GFPGANv1.4.pth")
    with pytest.raises(NotANumber, match="face restoration network"):
        restorer_of(models).restore(files.portrait(), by(GFPGAN))
    detector = files.seeing_white_dots()
    detector["ClassHead.0.conv1x1.bias"][0] = float("nan")
    torch.save(detector, models / "GFPGAN/detection_Resnet50_Final.pth")
    with pytest.raises(NotANumber, match="detector"):
        restorer_of(models).restore(files.portrait(), by(GFPGAN))


@pytest.mark.slow
def test_published_sizes_from_files_to_pictures(tmp_path: Path):
    """900 MB of random numbers in the published layouts: read, run, put back."""
    files.write_models(tmp_path, narrow=False)
    restorer = restorer_of(tmp_path)
    assert list(restorer.list()) == [CODEFORMER, GFPGAN]
    for name in restorer.list():
        made = restorer.restore(files.portrait(), by(name, 0.5))
        changed = ImageChops.difference(made, files.portrait()).getbbox()
        assert changed is not None
        assert changed[0] >= files.BOX[0] and changed[1] >= files.BOX[1]
        assert changed[2] <= files.BOX[2] and changed[3] <= files.BOX[3]


def test_memory_that_runs_out_is_freed_and_faces_begun_again(models: Path):
    """The second failure is told, and nothing is held after it."""
    restorer, left = restorer_of(models), [1]
    whole = restorer.restore(files.portrait(), by(GFPGAN))
    assert restorer.size() > 0

    def advance(done: int, of: int) -> Verdict:
        if left:
            left.pop()
            raise torch.OutOfMemoryError("out of memory")
        return Verdict.CONTINUE

    restorer._free = restorer.drop
    again = restorer.restore(files.portrait(), by(GFPGAN), advance=advance)
    assert again.tobytes() == whole.tobytes()
    left.extend((1, 1))
    with pytest.raises(OutOfMemory, match="restoring faces by GFPGAN"):
        restorer.restore(files.portrait(), by(GFPGAN), advance=advance)
    assert restorer.size() == 0
