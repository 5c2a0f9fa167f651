"""The whole command, over recordings of the server's own with the fake backend."""

import io
import json
import math
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from benchmarks import fidelity, harness, recordings
from benchmarks.recordings import Recording

FAKE = ("--backend", "fake")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data/models/Stable-diffusion"
    folder.mkdir(parents=True)
    save_file({"weight": np.arange(10, dtype=np.float32)}, folder / "m.safetensors")
    return tmp_path / "data"


def record(data: Path, scratch: Path, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask as a user would ask their A1111, and keep what came as it came."""
    scratch.mkdir(exist_ok=True)
    answer = fidelity.client_of(data, scratch, *FAKE).simulate_post(recordings.PATH, json=request)
    assert answer.status_code == 200
    case = {"request": {"path": recordings.PATH, "json": request}, "body": answer.json}
    path = data.parent / "mine" / f"{name}.json"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(case))
    return case


def run(data: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    figures = data.parent / "figures.json"
    given = ["--recordings", str(data.parent / "mine"), "--data", str(data), *arguments]
    status = fidelity.main([*given, "--json", str(figures), "--", *FAKE])
    cases = json.loads(figures.read_text())["cases"]
    return status, {each["name"]: each for each in cases}


SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64}


def test_ones_own_recordings_agree(data, tmp_path, capsys):
    """A random seed, a batch with its infotexts, and each format with what is inside."""
    record(data, tmp_path / "s", "random", SMALL)
    record(data, tmp_path / "s", "batch", {**SMALL, "seed": 5, "batch_size": 3})
    record(data, tmp_path / "s", "variation", {**SMALL, "seed": 5, "subseed_strength": 0.5})
    record(data, tmp_path / "s", "unseen", {**SMALL, "send_images": False})
    for format in ("jpg", "webp"):
        override = {"samples_format": format}
        record(data, tmp_path / "s", format, {**SMALL, "override_settings": override})
    status, cases = run(data)
    assert status == 0
    assert {each["verdict"] for each in cases.values()} == {"agrees"}
    assert {name: each["difference"] for name, each in cases.items()} == {
        **dict.fromkeys(("random", "batch", "variation", "jpg", "webp"), 0),
        "unseen": None,
    }
    assert cases["random"]["psnr"] == "inf"
    assert "6 cases: 6 agree, 0 explained, 0 unexplained" in capsys.readouterr().out


def test_extras_count_by_their_pictures_their_html_and_the_text_inside(data, tmp_path, capsys):
    picture = png(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
    single = {"image": picture, "upscaler_1": "Lanczos"}
    batch = {"imageList": [{"data": picture, "name": "x"}], "upscaler_1": "Nearest"}
    (tmp_path / "s").mkdir()
    client = fidelity.client_of(data, tmp_path / "s", *FAKE)
    (tmp_path / "mine").mkdir()

    def recorded(name: str, path: str, request: dict[str, Any], **instead: str) -> None:
        body = {**client.simulate_post(path, json=request).json, **instead}
        case = {"request": {"path": path, "json": request}, "body": body}
        (tmp_path / f"mine/{name}.json").write_text(json.dumps(case))

    recorded("one", recordings.EXTRAS[0], single)
    recorded("all", recordings.EXTRAS[1], batch)
    status, cases = run(data)
    assert (status, {each["section"] for each in cases.values()}) == (0, {"extras"})
    assert {each["difference"] for each in cases.values()} == {0}
    assert "by section" in capsys.readouterr().out

    recorded("one", recordings.EXTRAS[0], single, html_info="<p>other</p>")
    text_inside = client.simulate_post(recordings.EXTRAS[0], json={**single, "upscaler_1": "None"})
    recorded("inside", recordings.EXTRAS[0], {**single, "upscaling_resize": 1})
    case = json.loads((tmp_path / "mine/inside.json").read_text())
    case["body"]["image"] = text_inside.json["image"]  # the same pixels, and another text
    (tmp_path / "mine/inside.json").write_text(json.dumps(case))
    status, cases = run(data)
    verdicts = {name: each["verdict"] for name, each in cases.items()}
    assert status == 1
    assert verdicts == {"one": "unexplained", "all": "agrees", "inside": "unexplained"}
    assert (cases["inside"]["difference"], cases["one"]["difference"]) == (0, 0)


def png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(("off", "agrees"), [(2, True), (3, False)])
def test_a_pixel_may_be_off_by_two(data, tmp_path, off, agrees):
    request = {**SMALL, "seed": 1, "override_settings": {"enable_pnginfo": False}}
    case = record(data, tmp_path / "s", "case", request)
    pixels = np.array(Image.open(io.BytesIO(b64decode(case["body"]["images"][0]))))
    value = int(pixels[3, 4, 1])
    pixels[3, 4, 1] = value + off if value < 128 else value - off
    case["body"]["images"] = [png(pixels)]
    (tmp_path / "mine/case.json").write_text(json.dumps(case))
    status, cases = run(data)
    assert (status, cases["case"]["difference"]) == (0 if agrees else 1, off)
    assert cases["case"]["psnr"] == pytest.approx(10 * math.log10(255**2 * pixels.size / off**2))
    assert cases["case"]["verdict"] == ("agrees" if agrees else "unexplained")


def test_another_infotext_is_a_miss(data, tmp_path):
    case = record(data, tmp_path / "s", "case", {**SMALL, "seed": 1})
    case["body"]["info"] = case["body"]["info"].replace("Steps: 2", "Steps: 3")
    (tmp_path / "mine/case.json").write_text(json.dumps(case))
    status, cases = run(data)
    assert (status, cases["case"]["difference"]) == (1, 0)
    assert "Steps: 2" in cases["case"]["note"] and "Steps: 3" in cases["case"]["note"]


def test_a_refused_request_and_a_missing_checkpoint(data, tmp_path):
    """The first is a miss that nothing explains; the second is explained."""
    case = record(data, tmp_path / "s", "elsewhere", {**SMALL, "seed": 1})
    case["request"]["json"]["steps"] = 0
    (tmp_path / "mine/refused.json").write_text(json.dumps(case))
    case["request"]["json"]["steps"] = 3
    info = {**json.loads(case["body"]["info"]), "sd_model_name": "other"}
    case["body"]["info"] = json.dumps(info)
    (tmp_path / "mine/elsewhere.json").write_text(json.dumps(case))
    status, cases = run(data)
    assert status == 1
    assert cases["refused"]["note"].startswith("422 ")
    assert (cases["elsewhere"]["verdict"], cases["elsewhere"]["explanation"]) == (
        "explained",
        "checkpoint other is not among the recordings' files",
    )
    assert run(data, "--only", "else*")[0] == 0
    assert run(data, "--only", "nothing*")[0] == 2


def test_options_hold_for_their_case_alone(data, tmp_path):
    case = record(data, tmp_path / "s", "after", {**SMALL, "seed": 1})
    client = fidelity.client_of(data, tmp_path / "s", *FAKE)
    client.simulate_post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 3})
    before = client.simulate_post(recordings.PATH, json=case["request"]["json"]).json
    changed = {**case, "body": before, "options": {"CLIP_stop_at_last_layers": 3}}
    (tmp_path / "mine/able.json").write_text(json.dumps(changed))  # comes before "after"
    assert "Clip skip: 3" in before["info"]
    status, cases = run(data)
    assert status == 0
    assert {each["verdict"] for each in cases.values()} == {"agrees"}


def test_pictures_of_another_size_have_nothing_in_common():
    one, two = (png(np.zeros((8, side, 3), np.uint8)) for side in (8, 16))
    assert fidelity.compare(b64decode(one), b64decode(two)) == (0.0, 255)


def test_a_jpegs_rounding_is_explained_but_not_a_pngs(data, tmp_path):
    """Nor a JPEG that is far off."""

    def case(file: bytes) -> Recording:
        return Recording("x", "/sdapi/v1/txt2img", {}, (file,), ("t",), {})

    near = fidelity.Replay("x", psnr=50.0, difference=8, same_infotext=True)
    far = fidelity.Replay("x", psnr=30.0, difference=90, same_infotext=True)
    jpeg, png = b"\xff\xd8\xff", b"\x89PNG"
    assert fidelity.explanation(case(jpeg), near, frozenset()) == fidelity.JPEG
    assert fidelity.explanation(case(jpeg), far, frozenset()) == ""
    assert fidelity.explanation(case(png), near, frozenset()) == ""


def test_known_misses_name_recordings(shared):
    """One that is gone would hide that its reason is."""
    for name in fidelity.KNOWN:
        assert (shared / "golden" / f"{name}.json").is_file(), name
    for name, setter in recordings.SET_BY.items():
        assert (shared / "golden" / f"{name}.json").is_file(), name
        assert (shared / "golden" / name).with_name(f"{setter}.json").is_file(), name


def test_cases_are_picked_by_the_files_they_use(data, tmp_path):
    record(data, tmp_path / "s", "plain", SMALL)
    record(data, tmp_path / "s", "lora", {**SMALL, "prompt": "a cat <lora:x:1>"})
    chosen = {"override_settings": {"sd_vae": "None"}}
    record(data, tmp_path / "s", "vae", {**SMALL, **chosen})
    assert run(data, "--uses", "lora", "embedding")[1].keys() == {"lora"}
    assert run(data, "--uses", "networks")[1].keys() == {"lora", "vae"}


def test_what_was_recorded_on_the_starter_is_made_with_it(data, tmp_path):
    """Also where the data has other checkpoints; what was recorded on these stays theirs."""
    starter = harness.data_directory(tmp_path / "starter", harness.STARTER)
    record(starter, tmp_path / "a", "on_the_starter", {**SMALL, "seed": 1})
    record(data, tmp_path / "b", "on_another", {**SMALL, "seed": 1})
    infotexts = [
        json.loads((tmp_path / f"mine/{name}.json").read_text())["body"]["info"]
        for name in ("on_the_starter", "on_another")
    ]
    assert ["Model: hexfusion-starter" in each for each in infotexts] == [True, False]
    _, cases = run(data)  # the fake's pictures depend on where the file lies; infotexts do not
    assert {name: each["same_infotext"] for name, each in cases.items()} == {
        "on_another": True,
        "on_the_starter": True,
    }


def test_another_starter_is_a_checkpoint_as_others_are(data, tmp_path):
    starter = harness.data_directory(tmp_path / "starter", harness.STARTER)
    case = record(starter, tmp_path / "a", "older", {**SMALL, "seed": 1})
    info = json.loads(case["body"]["info"])
    case["body"]["info"] = json.dumps({**info, "sd_model_hash": "0123456789"})
    (tmp_path / "mine/older.json").write_text(json.dumps(case))
    _, cases = run(data)
    wanted = "checkpoint hexfusion-starter is not among the recordings' files"
    assert cases["older"]["explanation"] == wanted


def test_without_the_shared_folder_the_recordings_that_ship_are_replayed(
    data, tmp_path, monkeypatch, capsys
):
    record(data, tmp_path / "s", "case", {**SMALL, "seed": 1})
    monkeypatch.setattr(harness, "OWN_RECORDINGS", tmp_path / "mine")
    arguments = ["--data", str(data), "--json", str(tmp_path / "figures.json"), "--", *FAKE]
    monkeypatch.setattr(harness, "RECORDINGS", tmp_path / "nowhere")
    assert fidelity.main(arguments) == 0
    said = capsys.readouterr().out
    line = f"{tmp_path / 'nowhere'} is absent: replaying the recordings that ship"
    assert f"{line}, {tmp_path / 'mine'}" in said
    assert "1 cases: 1 agree" in said

    monkeypatch.setattr(harness, "RECORDINGS", tmp_path / "mine")
    monkeypatch.setattr(harness, "OWN_RECORDINGS", tmp_path / "nowhere")
    assert fidelity.main(arguments) == 0
    assert "absent" not in capsys.readouterr().out
    with pytest.raises(SystemExit):  # a folder that was asked for is never replaced
        fidelity.main(["--recordings", str(tmp_path / "nowhere"), *arguments])
