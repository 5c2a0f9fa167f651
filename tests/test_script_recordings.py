"""Selectable scripts, asked of the whole application as the real server was.

Source: recordings `scripts/*` in the shared golden folder, spec scripts.md 5 to 12. Those in
`HERE` must be equal: every picture within 2/255, `info` to the letter but for what is drawn.
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

import bootstrap
from application.pictures import read_infotext
from domain.flags import parse_flags

HERE = (
    "i2i_fromfile", "i2i_loopback", "i2i_loopback_aggr_batch", "i2i_loopback_lazy", "i2i_matrix",
    "t2i_args_long", "t2i_fromfile",
)  # fmt: skip
REFUSED = {
    "t2i_args_none": "script_args: Prompt matrix takes 5",
    "t2i_args_short": "script_args: Prompt matrix takes 5",
    "t2i_bad_name": "Script 'nope' not found",
    "t2i_custom_code": "Script 'custom code' not found",
    "t2i_i2i_script_in_t2i": "Script 'loopback' not found",
    "t2i_selectable_as_alwayson": "Cannot have a selectable script in the always on scripts params",
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: Any, shared: Path) -> dict[str, TestClient]:
    """By backend: the application with the recordings' models."""
    made = {}
    for backend in ("fake", "torch"):
        flags = ["--data-dir", str(tmp_path_factory.mktemp(backend)), "--backend", backend]
        models = ["--models-dir", str(shared / "golden/data/models"), "--threads", "1"]
        settings = parse_flags([*flags, *models], {}, absolute=os.path.abspath)
        made[backend] = TestClient(bootstrap.build_app(bootstrap.assemble(settings)))
    return made


def recorded(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / f"golden/scripts/{name}.json").read_text("utf-8"))


def sent(client: TestClient, shared: Path, recording: dict[str, Any]) -> Any:
    request = recording["request"]
    body = dict(request["json"])
    if "init_images" in body:
        files = [shared / "golden" / each["$b64"] for each in body["init_images"]]
        body["init_images"] = [b64encode(file.read_bytes()).decode("ascii") for file in files]
    return client.simulate_post(request["path"], json=body)


def without_chance(info: dict[str, Any]) -> dict[str, Any]:
    drawn = ("job_timestamp", "subseed", "all_subseeds")
    return {key: value for key, value in info.items() if key not in drawn}


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
@pytest.mark.parametrize("name", HERE)
def test_the_answer_is_the_recorded_one(clients, shared, name, backend) -> None:
    recording = recorded(shared, name)
    result = sent(clients[backend], shared, recording)
    assert result.status_code == 200, result.text
    theirs, ours = (json.loads(body["info"]) for body in (recording["body"], result.json))
    assert without_chance(ours) == without_chance(theirs)
    assert list(ours) == list(theirs)
    assert (ours["subseed"] == -1) is (theirs["subseed"] == -1)
    assert len(ours["all_subseeds"]) == len(theirs["all_subseeds"])
    assert result.json["parameters"] == recording["body"]["parameters"]

    files = [io.BytesIO(b64decode(text)) for text in result.json["images"]]
    told = recording["body"]["images"]
    pictures = [Image.open(file) for file in files]
    assert [list(each.size) for each in pictures] == [each["size"] for each in told]
    texts = [read_infotext(picture) for picture in pictures]
    assert texts == [each["text"].get("parameters") for each in told]
    if backend == "torch":
        for picture, each in zip(pictures, told, strict=True):
            their = Image.open(shared / "golden/scripts" / each["$file"])
            difference = ImageChops.difference(picture.convert("RGB"), their.convert("RGB"))
            assert max(high for _, high in difference.getextrema()) <= 2


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_refused(clients, shared, name) -> None:
    """A1111 answers wrong arguments with 500."""
    result = sent(clients["fake"], shared, recorded(shared, name))
    assert result.status_code == 422
    detail = result.json["detail"]
    if isinstance(detail, list):
        (problem,) = detail
        detail = f"{problem['loc'][-1]}: {problem['msg']}"
    assert REFUSED[name] in detail
