"""Upscaling networks through the whole application: files in a data folder, asked for over HTTP."""

import io
import os
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from falcon.testing import TestClient  # noqa: E402
from PIL import Image  # noqa: E402

from hexfusion import bootstrap  # noqa: E402
from hexfusion.domain.flags import parse_flags  # noqa: E402
from tests.adapters.gpu.torch_backend.upscale import networks  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    networks.write(tmp_path / "models/ESRGAN/4x-own.pth", networks.esrgan())
    networks.write(tmp_path / "elsewhere/dat.pth", networks.compact(2))
    argv = ["--data-dir", str(tmp_path), "--no-download-sd-model", "--threads", "1"]
    argv += ["--dat-models-path", str(tmp_path / "elsewhere")]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    return TestClient(bootstrap.build_app(bootstrap.assemble(flags)))


def test_files_are_listed_and_used(client: TestClient, tmp_path: Path) -> None:
    listed = {each["name"]: each for each in client.simulate_get("/sdapi/v1/upscalers").json}
    assert listed["4x-own"] == {
        "name": "4x-own",
        "model_name": "ESRGAN_4x",
        "model_path": str(tmp_path / "models/ESRGAN/4x-own.pth"),
        "model_url": None,
        "scale": 4.0,
    }
    assert listed["dat"]["scale"] is None
    # What the optional packages bring: listed if it is there, by both routes alike.
    packaged = [each["name"] for each in client.simulate_get("/sdapi/v1/realesrgan-models").json]
    assert {name for name in packaged if name in listed} == {
        name for name in listed if name.startswith("R-ESRGAN")
    }
    file = io.BytesIO()
    Image.new("RGB", (16, 8), "red").save(file, "PNG")
    asked = {"image": b64encode(file.getvalue()).decode(), "upscaler_1": "4x-own"}
    asked |= {"upscaler_2": "dat", "extras_upscaler_2_visibility": 0.5}
    result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
    assert result.json["html_info"] == (
        "<p>Postprocess upscale by: 2, Postprocess upscaler: 4x-own, "
        "Postprocess upscaler 2: dat</p>"
    )
    assert Image.open(io.BytesIO(b64decode(result.json["image"]))).size == (32, 16)


def test_a_broken_file_is_named(client: TestClient, tmp_path: Path) -> None:
    broken = tmp_path / "models/SwinIR/broken.pth"
    broken.parent.mkdir()
    broken.write_bytes(b"garbage")
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    asked = {"image": b64encode(file.getvalue()).decode(), "upscaler_1": "broken"}
    result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
    assert (result.status_code, result.json["error"]) == (500, "CheckpointError")
    assert str(broken) in result.json["errors"]
