"""The route that finds words for pictures (spec api.md 12.3)."""

import io
from base64 import b64decode, b64encode

import pytest
from PIL import Image

PATH = "/sdapi/v1/interrogate"


def picture(colour="red"):
    file = io.BytesIO()
    Image.new("RGB", (16, 8), colour).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def post(client, **body):
    result = client.simulate_post(PATH, json=body)
    return result.status_code, result.json


def test_a_caption(client):
    assert post(client, image=picture()) == (200, {"caption": "a red picture"})
    assert post(client, image=picture("blue"), model="clip")[1] == {"caption": "a blue picture"}


def test_tags(client):
    status, answer = post(client, image=picture("blue"), model="deepdanbooru")
    assert status == 200
    assert "blue" in answer["caption"].split(", ")


def test_a_data_uri_and_an_address(client, house):
    assert post(client, image=f"data:image/png;base64,{picture()}")[0] == 200
    house.behind = lambda url: b64decode(picture("green"))
    assert post(client, image="http://example.org/x.png")[1] == {"caption": "a green picture"}


def test_an_unknown_model(client, house):
    """Recording rest/interrogate_badmodel; nothing is fetched for it."""
    expected = {"error": "HTTPException", "detail": "Model not found", "body": "", "errors": ""}
    assert post(client, image=picture(), model="nope") == (404, expected)
    assert post(client, image="http://example.org/x.png", model="nope") == (404, expected)
    assert not [each for each in house.heard if "http" in str(each)]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"image": None}, "image", "none is not an allowed value"),
        ({"image": "AAAA"}, "image", "Invalid encoded image"),
        ({}, "image", "Invalid encoded image"),
        ({"model": None, "image": ""}, "model", "none is not an allowed value"),
    ],
)
def test_mistakes_are_named(client, body, field, message):
    """Spec api.md 2.2; recordings rest/interrogate_null, interrogate_noimage."""
    status, answer = post(client, **body)
    assert status == 422
    (problem,) = answer["detail"]
    assert problem["loc"] == ["body", field]
    assert message in problem["msg"]


def test_it_is_a_job(client):
    """Like a generation it can be left to the server."""
    sent = {"image": picture()}
    taken = client.simulate_post(PATH, json=sent, headers={"Prefer": "respond-async"})
    assert taken.status_code == 202
    client.simulate_get(f"{taken.headers['Location']}/events")
    told = client.simulate_get(taken.headers["Location"]).json
    assert told["kind"] == "interrogate"
    assert told["result"] == {"caption": "a red picture"}
