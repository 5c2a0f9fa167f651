"""Selectable scripts, asked of the whole application as the real server was.

Source: recordings `scripts/*` in the shared golden folder, spec scripts.md 5 to 12. Those in
`HERE` must be equal: every picture within 2/255, `info` to the letter but for what is drawn.
"""

import io
import itertools
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from PIL import Image, ImageChops

from hexfusion import bootstrap
from hexfusion.adapters.gpu.matched_noise import matched_noise
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.domain.flags import parse_flags

HERE = (
    "i2i_alt_test",
    "i2i_fromfile", "i2i_loopback", "i2i_loopback_aggr_batch", "i2i_loopback_lazy", "i2i_matrix",
    "i2i_poor_man_fill2", "t2i_args_long", "t2i_fromfile",
)  # fmt: skip
REFUSED = {
    "t2i_args_none": "script_args: Prompt matrix takes 5",
    "t2i_args_short": "script_args: Prompt matrix takes 5",
    "t2i_bad_name": "Script 'nope' not found",
    "t2i_custom_code": "Script 'custom code' not found",
    "t2i_i2i_script_in_t2i": "Script 'loopback' not found",
    "t2i_selectable_as_alwayson": "Cannot have a selectable script in the always on scripts params",
}


def client_of(folder: Path, shared: Path, backend: str, **parts: Any) -> TestClient:
    """The application with the recordings' models."""
    flags = ["--data-dir", str(folder), "--backend", backend, "--threads", "1"]
    models = ["--models-dir", str(shared / "golden/data/models")]
    settings = parse_flags([*flags, *models], {}, absolute=os.path.abspath)
    return TestClient(bootstrap.build_app(bootstrap.assemble(settings, **parts)))


class Clients(dict[str, TestClient]):
    """By backend; each is made when it is first asked for, so that one needs no torch."""

    def __init__(self, make: Callable[[str], TestClient]) -> None:
        self._make = make

    def __missing__(self, backend: str) -> TestClient:
        self[backend] = self._make(backend)
        return self[backend]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: Any, shared: Path) -> Clients:
    return Clients(lambda backend: client_of(tmp_path_factory.mktemp(backend), shared, backend))


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
        for text, each in zip(result.json["images"], told, strict=True):
            assert distance(text, shared / "golden/scripts" / each["$file"]) <= 2


def distance(text: str, file: Path) -> int:
    """The largest difference of a channel between an answered picture and a file, of 255."""
    ours, theirs = Image.open(io.BytesIO(b64decode(text))), Image.open(file)
    difference = ImageChops.difference(ours.convert("RGB"), theirs.convert("RGB"))
    return max(high for _, high in difference.getextrema())


def lost_once() -> Callable[..., Image.Image]:
    """What A1111's division by 0 made of the first canvas of scripts/i2i_outpaint_mk2_all: black
    where the picture was, and the highest values of the picture where noise was to be."""
    calls = itertools.count()

    def noise(picture: Image.Image, mask: Image.Image, *how: float) -> Image.Image:
        if next(calls):
            return matched_noise(picture, mask, *how)
        seen = Image.composite(Image.new("RGB", picture.size), picture, mask.convert("L"))
        colour = tuple(high for _, high in seen.getextrema())
        return Image.composite(
            Image.new("RGB", picture.size, colour),
            Image.new("RGB", picture.size),
            mask.convert("L"),
        )

    return noise


@pytest.mark.torch
def test_outpainting_mk2_is_the_recorded_one_but_for_a_division_by_zero(tmp_path, shared) -> None:
    """A1111 lost the picture there; given what was left of it, all is as recorded."""
    recording = recorded(shared, "i2i_outpaint_mk2_all")
    client = client_of(tmp_path, shared, "torch", noise=lost_once())
    result = sent(client, shared, recording)
    theirs, ours = (json.loads(body["info"]) for body in (recording["body"], result.json))
    assert without_chance(ours) == without_chance(theirs)
    (text,) = result.json["images"]
    assert distance(text, shared / "golden/scripts/i2i_outpaint_mk2_all_0.png") <= 2

    kept = sent(client, shared, recording).json["images"][0]
    inner = Image.open(io.BytesIO(b64decode(kept))).crop((120, 120, 136, 136))
    start = Image.open(shared / "golden/inputs/init128.png").convert("RGB").crop((56, 56, 72, 72))
    assert inner.tobytes() == start.tobytes()


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
