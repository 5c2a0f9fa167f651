"""Seeds of 64 bits in JSON (spec api.md 2.2: integers, floats and texts that are integers)."""

import json

import pytest

from hexfusion.domain.generation import MAX_SEED, MIN_SEED

PATH = "/sdapi/v1/txt2img"


def post(client, text: str, **more: object):
    """The request with `seed` written as `text`, which is JSON."""
    rest = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    body = f'{{"seed": {text}, "subseed": {text}{rest}}}'
    return client.simulate_post(PATH, body=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("18446744073709551615", MAX_SEED),
        ('"18446744073709551615"', MAX_SEED),
        ('" 18446744073709551615 "', MAX_SEED),
        ("9223372036854775808", 2**63),
        ("9223372036854775807", 2**63 - 1),
        ("9.223372036854775808e18", 2**63),
        ("1.8446744073709550e19", 18446744073709549568),
        ("-9223372036854775808", MIN_SEED),
        ("-9.223372036854775808e18", MIN_SEED),
        ('"-9223372036854775808"', MIN_SEED),
        ("4294967296.0", 2**32),
        ("-2", -2),
    ],
)
def test_a_seed_is_echoed_exactly(client, text: str, seed: int) -> None:
    result = post(client, text)
    assert result.status_code == 200, result.text
    assert (result.json["parameters"]["seed"], result.json["parameters"]["subseed"]) == (seed, seed)
    assert f'"seed":{seed},' in result.text  # no exponent, which would round it


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551616",
        "1.8446744073709552e19",
        '"18446744073709551616"',
        "-9223372036854775809",
        "1180591620717411303424",
        "1e300",
    ],
)
def test_a_seed_beyond_is_refused_by_its_field(client, text: str) -> None:
    result = post(client, text)
    assert (result.status_code, result.json["detail"][0]["loc"]) == (422, ["body", "seed"])


@pytest.mark.parametrize("text", ['"1.5"', '"abc"', "1e999", "NaN", "[1]", '"0x10"', "{}"])
def test_what_is_no_integer_is_refused_by_its_field(client, text: str) -> None:
    result = post(client, text)
    assert (result.status_code, result.json["detail"][0]["loc"]) == (422, ["body", "seed"])


def test_an_infotext_fills_a_seed_in(client) -> None:
    """Spec api.md 10."""
    text = f"x\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: {MAX_SEED}, Variation seed: {2**63}"
    result = client.simulate_post(PATH, json={"infotext": text})
    assert result.json["parameters"]["seed"] == MAX_SEED
    assert result.json["parameters"]["subseed"] == 2**63
    body = {"infotext": text, "seed": 5}
    assert client.simulate_post(PATH, json=body).json["parameters"]["seed"] == 5


def test_an_id_is_one_job_by_the_exact_seed(client) -> None:
    """Neighbouring seeds of 64 bits are the same float, and yet two requests."""
    assert post(client, str(MAX_SEED), force_task_id="a").status_code == 200
    assert "Idempotent-Replayed" in post(client, str(MAX_SEED), force_task_id="a").headers
    other = post(client, str(MAX_SEED - 1), force_task_id="a")
    assert "Idempotent-Replayed" not in other.headers
    assert other.json["parameters"]["seed"] == MAX_SEED - 1


@pytest.mark.parametrize("name", ["seed", "subseed"])
@pytest.mark.parametrize("kind", ["Txt2Img", "Img2Img"])
def test_the_document_tells_the_bounds(client, kind: str, name: str) -> None:
    schemas = client.simulate_get("/openapi.json").json["components"]["schemas"]
    told = schemas[f"StableDiffusionProcessing{kind}"]["properties"][name]
    assert (told["minimum"], told["maximum"]) == (MIN_SEED, MAX_SEED)
