"""What A1111 forgives, request by request. Source: spec api.md 2, 2.2, 5.2, 13.2.

How pictures may be spelled is in test_pictures.py, each rule of types in test_wire.py.
"""

import json

import pytest
from falcon import testing

PATH = "/sdapi/v1/txt2img"


def parameters(client: testing.TestClient, **body: object) -> dict[str, object]:
    result = client.simulate_post(PATH, json=body)
    assert result.status_code == 200, result.text
    return result.json["parameters"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "Application/JSON; charset=utf-8", "application/x+json"],
)
def test_a_content_type_may_be_missing_or_odd(client: testing.TestClient, content_type) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    result = client.simulate_post(PATH, body=b'{"steps": 3}', headers=headers)
    assert (result.status_code, result.json["parameters"]["steps"]) == (200, 3)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_says_it_is_no_json_is_none(client: testing.TestClient, content_type) -> None:
    """Recording errors/form_body."""
    headers = {"Content-Type": content_type}
    result = client.simulate_post(PATH, body=b'{"steps": 3}', headers=headers)
    assert result.status_code == 422
    assert result.json["detail"][0]["msg"] == "value is not a valid dict"


def test_null_stands_for_what_is_not_given(client: testing.TestClient) -> None:
    """A1111 takes these nulls, and crashes on some of them later (spec api.md 5.1)."""
    names = ["negative_prompt", "steps", "seed", "sampler_name", "styles", "override_settings"]
    echoed = parameters(client, prompt="x", **dict.fromkeys(names))
    plain = parameters(client, prompt="x")
    assert echoed == plain


def test_numbers_may_be_fractions_or_texts(client: testing.TestClient) -> None:
    """Spec api.md 2.2: an integer is cut, not rounded."""
    echoed = parameters(client, steps=12.9, width="64", height=64.0, cfg_scale="5.5", seed=True)
    shown = [echoed[name] for name in ("steps", "width", "height", "cfg_scale", "seed")]
    assert shown == [12, 64, 64, 5.5, 1]


@pytest.mark.parametrize(
    "extra",
    [
        {"nonsense": {"deep": [1]}},
        {"url": "http://127.0.0.1:7860", "auth": "user:pass"},  # SillyTavern sends its own
    ],
)
def test_unknown_fields_are_passed_over(client: testing.TestClient, extra) -> None:
    assert parameters(client, steps=3, **extra) == parameters(client, steps=3)


def test_a_sampler_may_be_given_as_sampler_index(client: testing.TestClient) -> None:
    """Spec api.md 5.2: used where sampler_name is empty."""
    assert parameters(client, sampler_index="Heun")["sampler_index"] == "Heun"
    result = client.simulate_post(PATH, json={"sampler_index": "no such"})
    assert (result.status_code, result.json["detail"]) == (400, "Sampler not found")


@pytest.mark.parametrize("value", ["Basic ", "Basic", "", "Basic Og==", "Bearer x", "nonsense"])
def test_a_login_that_nobody_asked_for_does_no_harm(client: testing.TestClient, value) -> None:
    """SillyTavern sends an empty one where its user gave none."""
    result = client.simulate_get("/sdapi/v1/samplers", headers={"Authorization": value})
    assert result.status_code == 200


def test_the_options_may_be_posted_back_whole(client: testing.TestClient) -> None:
    """Open WebUI reads all of them, sets one, and posts all of them (spec api.md 13.2)."""
    options = client.simulate_get("/sdapi/v1/options").json
    changed = {**options, "samples_format": "webp"}
    result = client.simulate_post("/sdapi/v1/options", json=changed)
    assert (result.status_code, result.text) == (200, "null")
    assert client.simulate_get("/sdapi/v1/options").json == changed


def test_an_object_may_come_as_pairs(client: testing.TestClient) -> None:
    """Recordings errors/json_array_pairs, errors/json_array_ints."""
    result = client.simulate_post(PATH, json=[["steps", 3]])
    assert result.json["parameters"]["steps"] == 3


def test_other_encodings_of_json_are_read(client: testing.TestClient) -> None:
    """As Python's reader does, which A1111 uses: a mark in front, or UTF-16."""
    text = json.dumps({"prompt": "é"}, ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16"):
        result = client.simulate_post(PATH, body=text.encode(encoding))
        assert result.json["parameters"]["prompt"] == "é"
