"""Face restoration through the whole application: files in a data folder, asked for over HTTP."""

import io
import json
import os
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from falcon.testing import TestClient  # noqa: E402
from PIL import Image, ImageChops  # noqa: E402

from hexfusion import bootstrap  # noqa: E402
from hexfusion.domain.flags import parse_flags  # noqa: E402
from tests.adapters.gpu.torch_backend.faces import files  # noqa: E402

#: `long`: it takes half a minute, with few tests.
pytestmark = [pytest.mark.torch, pytest.mark.long]


def client_of(data: Path, *more: str) -> TestClient:
    argv = ["--data-dir", str(data), "--no-download-sd-model", "--threads", "1", *more]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    return TestClient(bootstrap.build_app(bootstrap.assemble(flags)))


def png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def test_files_in_their_places_are_listed_and_used(tmp_path: Path) -> None:
    """And by extras in A1111's words (spec images.md 10.2)."""
    client = client_of(tmp_path)
    assert client.simulate_get("/sdapi/v1/face-restorers").json == []
    files.write_models(tmp_path / "models")
    assert client.simulate_get("/sdapi/v1/face-restorers").json == [
        {"name": "CodeFormer", "cmd_dir": None},
        {"name": "GFPGAN", "cmd_dir": None},
    ]
    asked = {
        "image": png(files.portrait()),
        "gfpgan_visibility": 0.5,
        "codeformer_visibility": 1,
        "codeformer_weight": 0.25,
    }
    result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
    assert result.json["html_info"] == (
        "<p>GFPGAN visibility: 0.5, CodeFormer visibility: 1.0, CodeFormer weight: 0.25</p>"
    )
    made = Image.open(io.BytesIO(b64decode(result.json["image"])))
    changed = ImageChops.difference(made, files.portrait()).getbbox()
    assert changed is not None
    assert changed[0] >= files.BOX[0] and changed[3] <= files.BOX[3]


def test_flags_lead_elsewhere(tmp_path: Path) -> None:
    """--codeformer-models-path, --gfpgan-models-path, --gfpgan-model."""
    files.write_models(tmp_path / "elsewhere")
    elsewhere = tmp_path / "elsewhere"
    flags = ["--codeformer-models-path", str(elsewhere / "Codeformer")]
    flags += ["--gfpgan-models-path", str(elsewhere / "GFPGAN")]

    def listed(*more: str) -> list[str]:
        client = client_of(tmp_path / "data", *flags, *more)
        return [each["name"] for each in client.simulate_get("/sdapi/v1/face-restorers").json]

    assert listed() == ["CodeFormer", "GFPGAN"]
    assert listed("--gfpgan-model", "other.pth") == ["CodeFormer"]


def test_what_is_missing_is_named_with_its_folder(tmp_path: Path) -> None:
    """A1111 says that faces were restored, and leaves them (recording rest/ex_codeformer)."""
    client, models = client_of(tmp_path), tmp_path / "models"
    asked = {"image": png(files.portrait()), "codeformer_visibility": 1}
    result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
    assert result.status_code == 501
    assert result.json["detail"] == (
        f"codeformer_visibility: CodeFormer needs codeformer-v0.1.0.pth in {models / 'Codeformer'} "
        f"and detection_Resnet50_Final.pth and parsing_parsenet.pth in {models / 'GFPGAN'}"
    )


def test_a_hostile_file_is_refused(tmp_path: Path) -> None:
    """Nothing in it runs, and the answer names it."""
    import pickle

    files.write_models(tmp_path / "models")
    trap, file = tmp_path / "trap", tmp_path / "models/GFPGAN/GFPGANv1.4.pth"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(trap),)

    client = client_of(tmp_path)
    for hostile in (pickle.dumps(Trap()), b"\x80\x04garbage"):
        file.write_bytes(hostile)
        asked = {"image": png(files.portrait()), "gfpgan_visibility": 1}
        result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
        assert (result.status_code, result.json["error"]) == (500, "CheckpointError")
        assert str(file) in result.json["errors"]
    torch.save({"params_ema": Trap()}, file)
    result = client.simulate_post("/sdapi/v1/extra-single-image", json=asked)
    assert (result.status_code, result.json["error"]) == (500, "CheckpointError")
    assert not trap.exists()


def test_generation_restores_faces_too(tmp_path: Path) -> None:
    """With the starter checkpoint: the request is planned, restored and described."""
    files.write_models(tmp_path / "models")
    argv = ["--data-dir", str(tmp_path), "--threads", "1"]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    client = TestClient(bootstrap.build_app(bootstrap.assemble(flags)))
    asked = {"prompt": "a white circle", "steps": 2, "width": 128, "height": 128, "seed": 1}
    asked |= {"restore_faces": True, "override_settings": {"face_restoration_model": "GFPGAN"}}
    result = client.simulate_post("/sdapi/v1/txt2img", json=asked)
    assert result.status_code == 200, result.text
    info = json.loads(result.json["info"])
    assert (info["restore_faces"], info["face_restoration_model"]) == (True, "GFPGAN")
    assert "Face restoration: GFPGAN" in info["infotexts"][0]
