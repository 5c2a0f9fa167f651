"""Spec networks.md 1.6 through the whole house: the recorded VAE, and several at once."""

import io
import json
import os
import shutil
from base64 import b64decode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from falcon.testing import TestClient
from PIL import Image, ImageChops
from safetensors.torch import load_file, save_file

from hexfusion import bootstrap
from hexfusion.adapters.http.app import Services, create_app
from hexfusion.application.results import Picture
from hexfusion.domain.generation import Txt2Img

pytestmark = pytest.mark.torch

OTHER, THIRD = "othervae.safetensors", "third.safetensors"
#: Option sd_vae of jobs that run at the same time.
CHOICES = (OTHER, "None", THIRD, "Automatic", OTHER, THIRD)


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded checkpoint and VAE, and one more VAE."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(shared / "golden/data/models", folder / "models", copy_function=shutil.copyfile)
    tensors = load_file(folder / "models/VAE" / OTHER)
    tensors["decoder.conv_out.bias"] += 0.25
    save_file(tensors, folder / "models/VAE" / THIRD)
    return folder


@pytest.fixture(scope="module")
def use(data: Path) -> Services:
    return build(data, "--slots", "3")


def build(data: Path, *flags: str) -> Services:
    argv = ["--data-dir", str(data), "--threads", "1", "--no-half", *flags]
    settings = bootstrap.parse_flags(argv, {}, absolute=os.path.abspath)
    return bootstrap.assemble(settings).services()


def make(use: Services, **settings: object) -> Picture:
    (picture,) = use.txt2img(
        Txt2Img(prompt="a red circle", steps=3, width=64, height=64, seed=1, **settings),
        abandoned=lambda: False,
    ).pictures
    return picture


def with_vae(use: Services, name: str) -> Picture:
    return make(use, override_settings={"sd_vae": name})


def difference(one: Image.Image, other: Image.Image) -> int:
    return max(ImageChops.difference(one.convert("RGB"), other.convert("RGB")).tobytes())


@pytest.mark.parametrize(
    "cases",
    [
        ("options/vae", "options/vae_then_default"),
        ("rest/opt_vae", "rest/after_vae", "rest/opt_vae_auto"),
    ],
)
def test_the_recorded_pictures(data: Path, shared: Path, cases: Sequence[str]):
    """For one request alone, then for all; no channel of any pixel off by more than 2/255."""
    client = TestClient(create_app(build(data)))
    for case in cases:
        recorded = json.loads((shared / "golden" / f"{case}.json").read_text())
        request = recorded["request"]
        result = client.simulate_post(request["path"], json=request["json"])
        assert result.status_code == 200, result.text
        if recorded["body"] is None:
            continue
        (expected,) = recorded["body"]["images"]
        info, theirs = json.loads(result.json["info"]), json.loads(recorded["body"]["info"])
        assert info["infotexts"] == [expected["text"]["parameters"]]
        for key in ("sd_vae_name", "sd_vae_hash"):
            assert info[key] == theirs[key]
        picture = Image.open(io.BytesIO(b64decode(result.json["images"][0])))
        assert difference(picture, Image.open(shared / "golden" / f"{case}_0.png")) <= 2


def test_jobs_at_the_same_time_keep_their_own_vaes(use: Services):
    """Neither pictures nor infotexts differ from those of jobs that are alone."""
    alone = {name: with_vae(use, name) for name in set(CHOICES)}
    assert difference(alone["None"].image, alone["Automatic"].image) == 0
    assert difference(alone["None"].image, alone[OTHER].image) > 2
    assert difference(alone[THIRD].image, alone[OTHER].image) > 2
    with ThreadPoolExecutor(len(CHOICES)) as pool:
        together = list(pool.map(lambda name: with_vae(use, name), CHOICES))
    for name, picture in zip(CHOICES, together, strict=True):
        assert difference(picture.image, alone[name].image) == 0
        assert picture.infotext == alone[name].infotext
    assert f"VAE: {THIRD}" in alone[THIRD].infotext
    assert "VAE" not in alone["Automatic"].infotext


def test_a_name_nobody_has_means_the_checkpoints_own(use: Services):
    assert with_vae(use, "nobody.pt").infotext == with_vae(use, "None").infotext


def test_the_flag_forces_a_vae(use: Services, data: Path):
    forced = build(data, "--vae-path", str(data / "models" / "VAE" / OTHER))
    assert with_vae(forced, "None").infotext == with_vae(use, OTHER).infotext


def test_a_preference_noted_beside_the_checkpoint(use: Services, data: Path):
    notes = data / "models" / "Stable-diffusion" / "tiny.json"
    notes.write_text(json.dumps({"vae": THIRD}))
    try:
        assert make(use).infotext == with_vae(use, THIRD).infotext
        assert "VAE" not in with_vae(use, "None").infotext
    finally:
        notes.unlink()


def test_lists_and_refreshes(data: Path):
    client = TestClient(create_app(build(data)))
    extra = data / "models" / "Stable-diffusion" / "mine.vae.pt"
    extra.write_bytes(b"")
    try:
        listed = client.simulate_get("/sdapi/v1/sd-vae").json
        assert [each["model_name"] for each in listed] == [OTHER, THIRD]
        assert client.simulate_post("/sdapi/v1/refresh-vae").json is None
        listed = client.simulate_get("/sdapi/v1/sd-vae").json
        assert listed[0] == {"model_name": extra.name, "filename": str(extra)}
    finally:
        extra.unlink()
