"""What the real server wrote to disk with `save_images`, asked of the whole application.

Source: recordings `save/*` in the shared golden folder. They were made one after the other, in a
folder where two pictures lay already.
"""

import io
import json
import os
import shutil
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from PIL import Image, ImageChops

from hexfusion import bootstrap
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.domain.flags import parse_flags

NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
IN_ORDER = (
    "one", "batch2", "grid_off", "jpg", "pattern", "txt", "nosubdir", "longprompt", "send_false",
    "dirname", "saveoff_opt",
)  # fmt: skip
BEFORE = ("00000-1.png", "00001-1.png")


@pytest.fixture
def data(tmp_path: Path, shared: Path) -> Path:
    """A data directory with the checkpoint of the recordings."""
    models = "models/Stable-diffusion"
    (tmp_path / models).mkdir(parents=True)
    original = shared / "golden/data" / models
    shutil.copytree(original / "tiny-clip", tmp_path / models / "tiny-clip")
    for name in ("tiny.safetensors", "tiny.yaml"):
        shutil.copy(original / name, tmp_path / models)
    today = tmp_path / "outputs/txt2img-images/2026-11-22"
    today.mkdir(parents=True)
    for name in BEFORE:
        (today / name).touch()
    return tmp_path


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".png", ".jpg", ".txt") and path.name != "params.txt"
    }


def client_of(data: Path, backend: str) -> TestClient:
    argv = ["--data-dir", str(data), "--backend", backend, "--threads", "1"]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    return TestClient(bootstrap.build_app(bootstrap.assemble(flags, clock=lambda: NOON)))


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_the_same_files_are_written(shared: Path, data: Path, backend: str) -> None:
    client = client_of(data, backend)
    for name in IN_ORDER:
        recording = json.loads((shared / "golden" / "save" / f"{name}.json").read_text("utf-8"))
        before = files_below(data)
        result = client.simulate_post("/sdapi/v1/txt2img", json=recording["request"]["json"])
        assert result.status_code == 200, (name, result.text)

        recorded, info = (json.loads(body["info"]) for body in (recording["body"], result.json))
        assert info["index_of_first_image"] == recorded["index_of_first_image"], name
        assert info["infotexts"] == recorded["infotexts"], name
        pictures = [Image.open(io.BytesIO(b64decode(text))) for text in result.json["images"]]
        assert [list(each.size) for each in pictures] == [
            each["size"] for each in recording["body"]["images"]
        ], name

        new = {each["file"]: each for each in recording["new_files"]}
        assert files_below(data) - before == new.keys(), name
        for file, said in new.items():
            check_file(data / file, said, recorded["infotexts"])
        if backend == "torch":
            for index, picture in enumerate(pictures):
                path = shared / "golden" / "save" / f"{name}_{index}.png"
                assert distance(picture, Image.open(path)) <= 2, (name, index)
    params = (data / "params.txt").read_text("utf-8")
    assert params == recorded["infotexts"][0]  # the last job's, which saved no picture


@pytest.mark.torch
def test_masks_and_the_picture_it_started_from_are_written_too(shared: Path, data: Path) -> None:
    """Recording save/img2img: the same names, and under its hash the very picture."""
    recording = json.loads((shared / "golden/save/img2img.json").read_text("utf-8"))
    request = recording["request"]["json"]
    inputs = {}
    for field, given in (("init_images", request["init_images"][0]), ("mask", request["mask"])):
        inputs[field] = (shared / "golden" / given["$b64"]).read_bytes()
    request["init_images"] = [b64encode(inputs["init_images"]).decode("ascii")]
    request["mask"] = b64encode(inputs["mask"]).decode("ascii")
    before = files_below(data)
    result = client_of(data, "torch").simulate_post("/sdapi/v1/img2img", json=request)
    recorded, info = (json.loads(body["info"]) for body in (recording["body"], result.json))
    assert info["infotexts"] == recorded["infotexts"]
    new = recording["new_files"]
    assert files_below(data) - before == set(new)
    picture, mask, masked, start = (Image.open(data / file) for file in new)
    assert distance(picture, Image.open(shared / "golden/save/img2img_0.png")) <= 2
    assert (mask.mode, masked.mode) == ("RGB", "RGBA")
    original = Image.open(io.BytesIO(inputs["init_images"]))
    assert (start.mode, start.tobytes()) == (original.mode, original.tobytes())


def test_what_cannot_be_saved_is_told(data: Path) -> None:
    """The folder is named before any work; A1111 fails after it."""
    client = client_of(data, "fake")
    request = {"steps": 1, "width": 64, "height": 64, "save_images": True}
    (data / "pictures").write_text("in the way")
    for folder, status, said in (
        ("pictures", 500, f"{data}/pictures"),
        ("/etc", 422, "outdir_txt2img_samples"),
        ("../etc", 422, "outdir_txt2img_samples"),
    ):
        body = {**request, "override_settings": {"outdir_txt2img_samples": folder}}
        result = client.simulate_post("/sdapi/v1/txt2img", json=body)
        assert (result.status_code, said in result.text) == (status, True), result.text


def test_the_operators_settings_may_name_any_folder(data: Path, tmp_path_factory: Any) -> None:
    """A client's may not: what it posts opens no further folder."""
    mine, other = tmp_path_factory.mktemp("mine"), tmp_path_factory.mktemp("other")
    (data / "config.json").write_text(json.dumps({"outdir_txt2img_samples": str(mine)}))
    client = client_of(data, "fake")
    request = {"seed": 5, "steps": 1, "width": 64, "height": 64, "save_images": True}
    assert client.simulate_post("/sdapi/v1/txt2img", json=request).status_code == 200
    assert files_below(mine) == {"2026-11-22/00000-5.png"}

    options = {"outdir_txt2img_samples": str(other)}
    refused = client.simulate_post("/sdapi/v1/options", json=options)
    assert (refused.status_code, "outdir_txt2img_samples" in refused.text) == (422, True)
    body = {**request, "override_settings": options}
    assert client.simulate_post("/sdapi/v1/txt2img", json=body).status_code == 422
    assert files_below(other) == set()


def check_file(path: Path, said: dict[str, Any], infotexts: list[str]) -> None:
    if "content" in said:
        assert path.read_text("utf-8") == said["content"]
        return
    picture = Image.open(path)
    assert list(picture.size) == said["size"]
    assert read_infotext(picture) == said["text"].get("parameters", infotexts[0])


def distance(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a channel, of 255."""
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return max(high for _, high in difference.getextrema())
