"""What the real server made of pictures, asked of the whole application.

Source: recordings `rest/ex_*`, `rest/eb_*` and `formats/extra_*` in the shared golden folder.
"""

import io
import json
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from PIL import Image, ImageChops

from hexfusion import bootstrap
from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.domain.flags import parse_flags


def failure(detail: str) -> dict[str, str]:
    return {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}


def no_picture(field: str) -> tuple[int, Any]:
    problem = {"loc": ["body", field], "msg": "Invalid encoded image", "type": "value_error"}
    return 422, {"detail": [problem]}


def no_faces(field: str, name: str) -> tuple[int, Any]:
    missing = f"{name} needs a file that this backend pretends not to have"
    return 501, failure(f"{field}: {missing}")


NO_UPSCALER = (404, failure("Upscaler 'Nope' not found"))

#: Where we choose to differ: our status and body.
DEVIATIONS = {
    # A1111 crashes on what is the client's mistake.
    "rest/ex_bad_upscaler": NO_UPSCALER,
    "rest/ex_bad_upscaler2": NO_UPSCALER,
    "rest/ex_badimage": no_picture("image"),
    "rest/ex_noimage": no_picture("image"),
    "rest/eb_bad": no_picture("imageList"),
    # The format was refused when it was set, so there is a picture.
    "formats/extra_tiff": (200, None),
    # A1111 says that it mended faces, and did not.
    "rest/ex_gfpgan": no_faces("gfpgan_visibility", "GFPGAN"),
    "rest/ex_codeformer": no_faces("codeformer_visibility", "CodeFormer"),
}

CASES = (
    *(f"rest/ex_{name}" for name in (
        "bad_upscaler", "bad_upscaler2", "badimage", "codeformer", "default", "gfpgan", "gray",
        "half", "keeps_info", "lanczos", "mode1_crop", "mode1_nocrop", "mode2", "nearest15", "neg",
        "noimage", "resize1", "rgba", "show_false", "two", "vis2",
    )),
    *(f"rest/eb_{name}" for name in ("bad", "empty", "missing", "noname", "two")),
    *(f"formats/extra_{name}" for name in ("jpg", "webp", "tiff")),
)  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder = tmp_path_factory.mktemp("data")
    argv = ["--data-dir", str(folder), "--backend", "fake", "--no-download-sd-model"]
    flags = parse_flags(argv, {}, absolute=os.path.abspath)
    without_files = FakeFaceRestorer(())  # as the recorded server was
    return TestClient(bootstrap.build_app(bootstrap.assemble(flags, faces=without_files)))


def sent(value: Any, golden: Path) -> Any:
    """The request with its pictures put in."""
    match value:
        case {"$b64": path}:
            return b64encode((golden / path).read_bytes()).decode()
        case dict():
            return {key: sent(each, golden) for key, each in value.items()}
        case list():
            return [sent(each, golden) for each in value]
        case _:
            return value


def assert_same_picture(text: str, recorded: dict[str, Any], folder: Path) -> None:
    """Within 2/255, and with the same texts inside."""
    ours = Image.open(io.BytesIO(b64decode(text)))
    with Image.open(folder / recorded["$file"]) as theirs:
        theirs.load()
    assert (ours.format, ours.mode, ours.size) == (theirs.format, theirs.mode, theirs.size)
    off = ImageChops.difference(ours, theirs).getextrema()
    assert max(high for _, high in off) <= 2
    if ours.format == "PNG":
        assert ours.info == theirs.info
    else:
        assert ours.info["exif"] == theirs.info["exif"]


def test_every_recording_is_replayed(shared: Path) -> None:
    golden = shared / "golden"
    recorded = [*golden.glob("rest/ex_*.json"), *golden.glob("rest/eb_*.json")]
    recorded += golden.glob("formats/extra_*.json")
    assert {f"{path.parent.name}/{path.stem}" for path in recorded} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_answers_as_recorded(client: TestClient, shared: Path, name: str) -> None:
    golden = shared / "golden"
    recording = json.loads((golden / f"{name}.json").read_text("utf-8"))
    if name.startswith("formats/"):
        format = name.rpartition("_")[2]
        answer = client.simulate_post("/sdapi/v1/options", json={"samples_format": format})
        assert answer.status_code == (422 if format == "tiff" else 200)
    try:
        asked = recording["request"]
        result = client.simulate_post(asked["path"], json=sent(asked["json"], golden))
    finally:
        client.simulate_post("/sdapi/v1/options", json={"samples_format": "png"})
    status, body = DEVIATIONS.get(name, (recording["status"], recording["body"]))
    assert result.status_code == status, result.text
    if name == "formats/extra_tiff":  # the format was refused, so there is a picture
        assert result.json["image"]
        return
    if status != 200:
        assert result.json == body
        return
    assert list(result.json) == list(body)
    assert result.json["html_info"] == body["html_info"]
    pictures = body["images"] if "images" in body else [body["image"]]
    ours = result.json["images"] if "images" in body else [result.json["image"]]
    for text, picture in zip(ours, pictures, strict=True):
        assert_same_picture(text, picture, (golden / f"{name}.json").parent)
