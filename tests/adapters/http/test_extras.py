"""Routes that enlarge and mend pictures (spec api.md 12.1). Pictures themselves: recordings."""

import io
import json
from base64 import b64decode, b64encode

import pytest
from PIL import Image

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
NO_NULL = "none is not an allowed value"


def text(width=16, height=8):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def size(picture):
    return Image.open(io.BytesIO(b64decode(picture))).size


def test_one_picture(client):
    result = client.simulate_post(SINGLE, json={"image": text(), "upscaler_1": "Lanczos"})
    assert result.status_code == 200, result.text
    assert list(result.json) == ["html_info", "image"]
    assert result.json["html_info"] == (
        "<p>Postprocess upscale by: 2, Postprocess upscaler: Lanczos</p>"
    )
    assert size(result.json["image"]) == (32, 16)


def test_several_pictures(client):
    images = [{"data": text(16), "name": ""}, {"data": text(24), "name": "b"}]
    result = client.simulate_post(
        BATCH, json={"imageList": images, "upscaler_1": "Nearest", "upscaling_resize": 2}
    )
    assert list(result.json) == ["html_info", "images"]
    assert [size(each) for each in result.json["images"]] == [(32, 16), (48, 16)]
    assert "by: 2.0," in result.json["html_info"]


def test_a_data_uri_and_an_address(client, house):
    given = f"data:image/png;base64,{text()}"
    result = client.simulate_post(SINGLE, json={"image": given, "upscaler_1": "Lanczos"})
    assert size(result.json["image"]) == (32, 16)
    house.behind = lambda url: b64decode(text(24))
    given = [{"data": "http://example.org/x.png", "name": "x"}]
    result = client.simulate_post(BATCH, json={"imageList": given})
    assert [size(each) for each in result.json["images"]] == [(24, 8)]


@pytest.mark.parametrize(
    ("path", "body", "loc", "message"),
    [
        (SINGLE, {"upscaling_resize": 0}, ["upscaling_resize"], "greater than 0"),
        (SINGLE, {"upscaling_resize_w": 0}, ["upscaling_resize_w"], "or equal to 1"),
        (SINGLE, {"upscaler_1": None}, ["upscaler_1"], NO_NULL),
        (SINGLE, {"resize_mode": 2}, ["resize_mode"], "unexpected value; permitted: 0, 1"),
        (SINGLE, {"image": "AAAA"}, ["image"], "Invalid encoded image"),
        (SINGLE, {}, ["image"], "Invalid encoded image"),
        (BATCH, {}, ["imageList"], "field required"),
        (BATCH, {"imageList": [{"data": ""}]}, ["imageList", 0, "name"], "field required"),
        (BATCH, {"imageList": [{"data": "?", "name": ""}]}, ["imageList"], "Invalid encoded image"),
        (
            SINGLE,
            {"image": text(), "upscaler_1": "Lanczos", "upscaling_resize": 1e6},
            ["upscaling_resize"],
            "a picture may have",
        ),
    ],
)
def test_mistakes_are_named(client, path, body, loc, message):
    """Spec api.md 2.2 and 12.1; recordings rest/ex_mode2, rest/eb_noname."""
    result = client.simulate_post(path, json=body)
    assert result.status_code == 422, result.text
    (problem,) = result.json["detail"]
    assert problem["loc"] == ["body", *loc]
    assert message in problem["msg"]


def test_it_is_a_job(client):
    """Like a generation it can be left to the server."""
    sent = {"image": text(), "upscaler_1": "Lanczos"}
    taken = client.simulate_post(SINGLE, json=sent, headers={"Prefer": "respond-async"})
    assert taken.status_code == 202
    watched = client.simulate_get(f"{taken.headers['Location']}/events").text
    assert "event: " in watched
    told = client.simulate_get(taken.headers["Location"]).json
    assert told["kind"] == "extras"
    assert size(told["result"]["image"]) == (32, 16), json.dumps(told)[:300]


def test_the_format_of_the_options(client, house):
    house.update({"samples_format": "jpg"})
    result = client.simulate_post(SINGLE, json={"image": text()})
    assert Image.open(io.BytesIO(b64decode(result.json["image"]))).format == "JPEG"
