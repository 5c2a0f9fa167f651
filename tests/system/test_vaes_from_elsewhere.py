"""The starter without its VAE, over HTTP: every way to give it one.

The right picture is that of the whole starter, whose VAE is what the other file holds.
"""

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from falcon.testing import TestClient  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from hexfusion import bootstrap  # noqa: E402
from hexfusion.adapters.http.app import create_app  # noqa: E402
from hexfusion.adapters.storage.starter import install_starter  # noqa: E402
from tests.sight import assert_differ, assert_wide, furthest  # noqa: E402

pytestmark = pytest.mark.torch

PREFIX = "first_stage_model."
ASKED = {
    "prompt": "a yellow star in the night sky",
    "steps": 4,
    "width": 64,
    "height": 64,
    "seed": 7,
    "cfg_scale": 8,
}
VAES = ("own.safetensors", "other.safetensors")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole starter, the starter without its VAE, its VAE, and one with other colours."""
    folder = tmp_path_factory.mktemp("data")
    models, vaes = folder / "models/Stable-diffusion", folder / "models/VAE"
    models.mkdir(parents=True)
    vaes.mkdir()
    whole = install_starter([models])
    assert whole is not None
    tensors = load_file(whole)
    own = {name.removeprefix(PREFIX): each for name, each in tensors.items() if PREFIX in name}
    bare = {name: each for name, each in tensors.items() if PREFIX not in name}
    save_file(bare, models / "bare.safetensors")
    encoder = {name: each for name, each in tensors.items() if f"{PREFIX}decoder" not in name}
    save_file(encoder, models / "half.safetensors")
    save_file(own, vaes / VAES[0])
    own["decoder.conv_out.weight"] = -own["decoder.conv_out.weight"]
    own["decoder.conv_out.bias"] = -own["decoder.conv_out.bias"]
    save_file(own, vaes / VAES[1])
    return folder


def client(data: Path, *flags: str) -> TestClient:
    argv = ["--data-dir", str(data), "--threads", "1", "--no-half", "--no-hashing", *flags]
    settings = bootstrap.parse_flags(argv, {}, absolute=os.path.abspath)
    return TestClient(create_app(bootstrap.assemble(settings).services()))


@pytest.fixture(scope="module")
def app(data: Path) -> TestClient:
    return client(data, "--slots", "2")


def post(app: TestClient, path: str = "txt2img", **fields: object):
    return app.simulate_post(f"/sdapi/v1/{path}", json={**ASKED, **fields})


def made(app: TestClient, checkpoint: str | None = "bare.safetensors", **fields: object):
    """The picture of a request, by overrides of options and other fields."""
    path = str(fields.pop("path", "txt2img"))
    overrides = fields.pop("override_settings", {})
    assert isinstance(overrides, dict)
    if checkpoint:
        overrides = {"sd_model_checkpoint": checkpoint, **overrides}
    reply = post(app, path, override_settings=overrides, **fields)
    assert reply.status_code == 200, reply.text
    return Image.open(io.BytesIO(base64.b64decode(reply.json["images"][0])))


@pytest.fixture(scope="module")
def right(app: TestClient) -> Image.Image:
    picture = made(app, "hexfusion-starter.safetensors")
    assert_wide(picture)
    return picture


@pytest.fixture
def beside(data: Path) -> Iterator[Path]:
    """The folder of the checkpoints, swept afterwards."""
    folder = data / "models/Stable-diffusion"
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


@pytest.mark.parametrize(
    "overrides",
    [
        {"sd_vae": VAES[0]},
        {"forge_additional_modules": [VAES[0]]},
        {"forge_additional_modules": ["own"]},
        {"forge_additional_modules": ["/home/me/forge/models/VAE/own.safetensors"]},
        {"forge_additional_modules": ["C:\\Forge\\models\\VAE\\own.safetensors"]},
        {"forge_additional_modules": [VAES[0]], "sd_vae": VAES[0]},  # SillyTavern
        {"forge_additional_modules": [VAES[1]], "sd_vae": VAES[0]},
        {"forge_additional_modules": ["text_encoder/clip_l.safetensors", VAES[0]]},
    ],
)
def test_by_override(app, right, overrides):
    assert furthest(made(app, override_settings=overrides), right) == 0


@pytest.mark.parametrize(
    "stored", [{"sd_vae": VAES[0]}, {"forge_additional_modules": ["VAE/own.safetensors"]}]
)
def test_by_option(data, right, stored: Mapping[str, object]):
    """The checkpoint may be chosen before its VAE, and with it; another job's choice counts."""
    app = client(data)
    for options in ({"sd_model_checkpoint": "bare.safetensors"}, stored):
        assert app.simulate_post("/sdapi/v1/options", json=options).status_code == 200
    assert furthest(made(app, None), right) == 0
    other = {"forge_additional_modules": [VAES[1]]}
    assert_differ(made(app, None, override_settings=other), right)
    assert furthest(made(app, None), right) == 0
    app = client(data)
    both = {"sd_model_checkpoint": "bare.safetensors", **stored}
    assert app.simulate_post("/sdapi/v1/options", json=both).status_code == 200
    assert furthest(made(app, None), right) == 0
    for key in (*both, "sd_vae"):
        assert app.simulate_post("/sdapi/v1/options", json={key: None}).status_code == 200


@pytest.mark.parametrize("ending", ["safetensors", "pt", "ckpt"])
def test_by_a_file_beside_it(data, beside, right, ending):
    tensors = load_file(data / "models/VAE" / VAES[0])
    if ending == "safetensors":
        save_file(tensors, beside / f"bare.vae.{ending}")
    else:
        torch.save({"state_dict": tensors}, beside / f"bare.vae.{ending}")
    assert furthest(made(client(data)), right) == 0


def test_by_the_notes_beside_it(data, beside, right):
    (beside / "bare.json").write_text(json.dumps({"vae": VAES[0]}))
    assert furthest(made(client(data)), right) == 0


def test_by_the_flag(data, tmp_path, right):
    path = tmp_path / "mine.safetensors"
    shutil.copyfile(data / "models/VAE" / VAES[0], path)
    app = client(data, "--vae-path", str(path))
    assert furthest(made(app), right) == 0
    assert furthest(made(app, override_settings={"sd_vae": "None"}), right) == 0


@pytest.mark.parametrize("checkpoint", ["bare.safetensors", "half.safetensors"])
@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"sd_vae": "None"},
        {"sd_vae": "Automatic"},
        {"sd_vae": "typo.pt"},
        {"forge_additional_modules": []},
        {"forge_additional_modules": ["t5xxl_fp16.safetensors"]},
    ],
)
def test_without_any_it_is_refused_by_name(app, checkpoint, overrides):
    overrides = {"sd_model_checkpoint": checkpoint, **overrides}
    reply = post(app, override_settings=overrides)
    assert reply.status_code == 422
    (problem,) = reply.json["detail"]
    assert problem["loc"] == ["body", "sd_vae"]
    assert f"checkpoint '{checkpoint}' holds " in problem["msg"]
    assert f"{checkpoint[:4]}.vae.safetensors" in problem["msg"]


def picture_of(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "img2img", "denoising_strength": 0.6},
        {"path": "img2img", "denoising_strength": 0.9, "mask": "left", "inpainting_fill": 2},
        {
            "enable_hr": True,
            "hr_scale": 2,
            "denoising_strength": 0.5,
            "hr_second_pass_steps": 2,
            "hr_upscaler": "Lanczos",
        },
        {
            "enable_hr": True,
            "hr_scale": 2,
            "denoising_strength": 0.5,
            "hr_second_pass_steps": 2,
            "hr_upscaler": "Latent",
        },
        {"override_settings": {"show_progress_type": "Full"}},
        {"batch_size": 2},
    ],
)
def test_whatever_is_encoded_or_decoded(app, right, fields):
    """img2img, masks, hires fix, previews: as with the whole starter."""
    fields = dict(fields)
    if fields.get("path"):
        fields["init_images"] = [picture_of(right)]
    if "mask" in fields:
        mask = Image.new("L", (64, 64))
        mask.paste(255, (0, 0, 32, 64))
        fields["mask"] = picture_of(mask)
    overrides = dict(fields.pop("override_settings", {}))
    whole = made(app, "hexfusion-starter.safetensors", override_settings=overrides, **fields)
    overrides["sd_vae"] = VAES[0]
    assert_wide(whole)
    assert furthest(made(app, override_settings=overrides, **fields), whole) == 0


def test_two_jobs_at_once_keep_their_own_vaes(app, right):
    def draw(vae: str) -> Image.Image:
        return made(app, override_settings={"sd_vae": vae})

    alone = [draw(vae) for vae in VAES]
    assert_differ(*alone)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, VAES * 3))
    for index, picture in enumerate(together):
        assert furthest(picture, alone[index % 2]) == 0
    assert furthest(alone[0], right) == 0


def test_the_infotext_tells_the_vae_and_draws_again(app, right):
    overrides = {"sd_model_checkpoint": "bare.safetensors", "forge_additional_modules": ["own"]}
    reply = post(app, override_settings=overrides)
    (text,) = json.loads(reply.json["info"])["infotexts"]
    assert f"VAE: {VAES[0]}" in text
    again = app.simulate_post(
        "/sdapi/v1/txt2img",
        json={"infotext": text, "override_settings": {"sd_model_checkpoint": "bare.safetensors"}},
    )
    assert furthest(Image.open(io.BytesIO(base64.b64decode(again.json["images"][0]))), right) == 0


def test_a_module_that_is_none_is_told_with_the_pictures(app):
    overrides = {"sd_model_checkpoint": "bare.safetensors", "sd_vae": VAES[0]}
    overrides["forge_additional_modules"] = ["t5xxl_fp16.safetensors"]
    reply = post(app, override_settings=overrides)
    (comment,) = json.loads(reply.json["info"])["comments"]
    assert "'t5xxl_fp16.safetensors': left out" in comment


def test_the_whole_starter_takes_another_files_vae_as_ever(app, right):
    other = made(app, "hexfusion-starter.safetensors", override_settings={"sd_vae": VAES[1]})
    assert_differ(other, right)
    assert furthest(other, made(app, override_settings={"sd_vae": VAES[1]})) == 0
