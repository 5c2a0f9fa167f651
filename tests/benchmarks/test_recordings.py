"""What recordings may look like (benchmarks/README.md), and what of them is replayed."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from benchmarks.recordings import Out, Recording, read_all, with_seeds

PICTURE = b"no picture, but bytes"
INFO = {"all_seeds": [7, 8], "all_subseeds": [9], "infotexts": ["a", "b"]}
BODY = {"images": [], "info": json.dumps(INFO)}


def write(folder: Path, name: str, **case: object) -> None:
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"request": {"json": {"seed": 1}}, "body": BODY} | case))


def test_pictures_are_base64_or_files(tmp_path):
    text = b64encode(PICTURE).decode()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/one_0.png").write_bytes(PICTURE)
    for name, image in (
        ("plain", text),
        ("uri", f"data:image/png;base64,{text}"),
        ("one", {"$file": "one_0.png"}),
    ):
        write(tmp_path, f"x/{name}", body={**BODY, "images": [image]})
    found = list(read_all(tmp_path))
    assert [each.name for each in found] == ["x/one", "x/plain", "x/uri"]
    assert all(each.pictures == (PICTURE,) and each.infotexts == ("a", "b") for each in found)


def test_a_picture_in_a_request_may_be_a_file(tmp_path):
    (tmp_path / "in.png").write_bytes(PICTURE)
    write(tmp_path, "case", request={"json": {"seed": 1, "a": [{"$b64": "in.png"}]}})
    (found,) = read_all(tmp_path)
    assert found.request == {"seed": 1, "a": [b64encode(PICTURE).decode()]}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"request": {"path": "/sdapi/v1/interrogate", "json": {}}}, "of another route"),
        ({"status": 500, "body": "no"}, "answered with an error"),
        ({"action": {"t": 1}}, "interrupted or skipped by another request"),
    ],
)
def test_what_is_no_answered_txt2img_is_out(tmp_path, case, reason):
    write(tmp_path, "case", **case)
    (found,) = read_all(tmp_path)
    assert isinstance(found, Out) and found.reason.startswith(reason)


def test_two_requests_sent_at_once_are_two_recordings(tmp_path):
    answer = {"status": 200, "body": BODY}
    asked = {"json": {"seed": 1}, "second": {"seed": 2}}
    write(tmp_path, "case", request=asked, result=answer, second=answer)
    assert [(each.name, each.request) for each in read_all(tmp_path)] == [
        ("case", {"seed": 1}),
        ("case+second", {"seed": 2}),
    ]


def test_options_that_were_set_before(tmp_path):
    """A recording names them itself; those of A1111 that ship were set by another recording."""
    write(tmp_path, "own", options={"CLIP_stop_at_last_layers": 2})
    write(tmp_path, "formats/t2i_jpg")
    write(tmp_path, "formats/set_jpg", request={"path": "/o", "json": {"samples_format": "jpg"}})
    own, _, jpg = read_all(tmp_path)
    assert isinstance(own, Recording) and own.options == {"CLIP_stop_at_last_layers": 2}
    assert isinstance(jpg, Recording) and jpg.options == {"samples_format": "jpg"}


def test_sections_and_other_files(tmp_path):
    for name in ("a/one", "b/two", "three"):
        write(tmp_path, name)
    (tmp_path / "openapi.json").write_text("{}")
    assert [each.name for each in read_all(tmp_path)] == ["three", "a/one", "b/two"]
    assert [each.name for each in read_all(tmp_path, ["b"])] == ["b/two"]
    with pytest.raises(FileNotFoundError):
        list(read_all(tmp_path, ["c"]))


@pytest.mark.parametrize("text", ["{", '{"request": {"json": {}}}', '{"request": 5}'])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / "case.json").write_text(text)
    with pytest.raises(ValueError, match=r"case\.json"):
        list(read_all(tmp_path))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, {"seed": 7}),
        ({"seed": -1, "subseed": -1}, {"seed": 7, "subseed": -1}),
        ({"seed": 0}, {"seed": 0}),
        ({"seed": 1, "subseed_strength": 0.5}, {"seed": 1, "subseed_strength": 0.5, "subseed": 9}),
        ({"infotext": "x\nSteps: 1, Seed: 5"}, {"infotext": "x\nSteps: 1, Seed: 5"}),
    ],
)
def test_a_seed_that_was_drawn_is_the_one_that_was_answered(request_, expected):
    assert with_seeds(request_, INFO) == expected
