"""What the real server answered with its `samples_format` set, asked of the whole application.

Source: recordings `formats/*` in the shared golden folder.
"""

import io
import json
import os
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from PIL import Image, ImageChops, ImageStat

from hexfusion import bootstrap
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.domain.flags import parse_flags


@pytest.fixture
def data(tmp_path: Path, shared: Path) -> Path:
    """A data directory with the checkpoint of the recordings."""
    models = "models/Stable-diffusion"
    (tmp_path / models).mkdir(parents=True)
    original = shared / "golden/data" / models
    shutil.copytree(original / "tiny-clip", tmp_path / models / "tiny-clip")
    for name in ("tiny.safetensors", "tiny.yaml"):
        shutil.copy(original / name, tmp_path / models)
    return tmp_path


def recording(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / "golden/formats" / f"{name}.json").read_text("utf-8"))


def quantization(picture: Image.Image) -> object:
    """What a JPEG's quality becomes; None of another format."""
    return getattr(picture, "quantization", None)


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_pictures_carry_the_same_metadata(shared: Path, data: Path, backend: str) -> None:
    argv = ["--data-dir", str(data), "--backend", backend, "--threads", "1"]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    client = TestClient(bootstrap.build_app(bootstrap.assemble(flags)))

    def replay(name: str) -> tuple[Any, Any]:
        recorded = recording(shared, name)
        asked = recorded["request"]
        result = client.simulate_post(asked["path"], json=asked["json"])
        assert result.status_code == recorded["status"], (name, result.text)
        return recorded["body"], result.json

    for format in ("jpg", "webp"):
        assert replay(f"set_{format}") == (None, None)
        recorded, answer = replay(f"t2i_{format}")
        (text,), (file,) = answer["images"], recorded["images"]
        ours = Image.open(io.BytesIO(b64decode(text)))
        with Image.open(shared / "golden/formats" / file["$file"]) as theirs:
            theirs.load()
        assert (ours.format, ours.mode, ours.size) == (theirs.format, theirs.mode, theirs.size)
        assert ours.info["exif"] == theirs.info["exif"]
        assert read_infotext(ours) == json.loads(recorded["info"])["infotexts"][0]
        assert quantization(ours) == quantization(theirs)
        if backend == "torch":  # one rounded otherwise before is many after such a compression
            assert max(ImageStat.Stat(ImageChops.difference(ours, theirs)).mean) < 0.5
    assert replay("reset") == (None, None)
    assert client.simulate_get("/sdapi/v1/options").json["samples_format"] == "png"
    tiff = recording(shared, "set_tiff")["request"]  # 200 there, and 500 after each later job
    refused = client.simulate_post(tiff["path"], json=tiff["json"])
    assert (refused.status_code, "samples_format" in refused.text) == (422, True)
