"""What holds for every route: spec api.md 2."""

import gzip
import re

import pytest
from falcon import testing

from hexfusion.adapters.http.app import create_app


def test_json_is_compact_and_says_only_that_it_is_json(client: testing.TestClient) -> None:
    result = client.simulate_get("/sdapi/v1/memory")
    assert result.headers["Content-Type"] == "application/json"
    assert result.text.startswith('{"ram":{"free":24354373632.0,')


@pytest.mark.parametrize("path", ["/internal/ping", "/sdapi/v1/nope", "/sdapi/v1/txt2img"])
def test_tells_how_long_it_took(client: testing.TestClient, path: str) -> None:
    taken = client.simulate_get(path).headers["X-Process-Time"]
    assert re.fullmatch(r"\d+\.\d{1,4}(e-05)?", taken)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
        (None, False),
    ],
)
def test_packs_long_answers_for_who_can_unpack(
    client: testing.TestClient, accepted: str | None, packed: bool
) -> None:
    headers = {"Accept-Encoding": accepted} if accepted else {}
    result = client.simulate_get("/sdapi/v1/samplers", headers=headers)
    assert result.headers["Vary"] == "Accept-Encoding"
    assert (result.headers.get("Content-Encoding") == "gzip") is packed
    plain = client.simulate_get("/sdapi/v1/samplers").content
    assert (gzip.decompress(result.content) if packed else result.content) == plain


def test_leaves_short_answers_alone(client: testing.TestClient) -> None:
    result = client.simulate_get("/sdapi/v1/memory", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in result.headers
    assert result.json


def test_refuses_a_body_over_the_limit(client: testing.TestClient) -> None:
    """A1111 has no limit."""
    result = client.simulate_post("/sdapi/v1/txt2img", body=b"x" * 100_001)
    assert result.status_code == 413
    assert result.json == {"detail": "the body is too large: at most 100000 bytes are taken"}


def test_takes_a_body_at_the_limit(client: testing.TestClient) -> None:
    body = b'{"prompt": "' + b"x" * (100_000 - 14) + b'"}'
    assert len(body) == 100_000
    assert client.simulate_post("/sdapi/v1/txt2img", body=body).status_code == 200


@pytest.mark.parametrize("path", ["/sdapi/v1/artists", "/docs/x", "/sdapi"])
def test_other_routes_are_not_there(client: testing.TestClient, path: str) -> None:
    result = client.simulate_post(path, json={})
    assert result.status_code == 404
    assert result.json == {"detail": "Not Found"}


def test_flags_and_memory_come_as_they_are(client: testing.TestClient) -> None:
    flags = client.simulate_get("/sdapi/v1/cmd-flags").json
    assert flags == {"port": "7861", "nowebui": True, "use_cpu": []}


def test_refreshing_looks_again(client: testing.TestClient, house) -> None:
    assert client.simulate_post("/sdapi/v1/refresh-checkpoints").text == "null"
    assert house.heard == [("refresh",)]


@pytest.mark.parametrize("method", ["WEBSOCKET", "BREW"])
def test_a_method_nobody_knows(house, method: str) -> None:
    app = create_app(house.services())
    environment = testing.create_environ("/sdapi/v1/progress") | {"REQUEST_METHOD": method}
    answer = testing.StartResponseMock()
    body = b"".join(app(environment, answer))
    assert (answer.status, body) == ("400 Bad Request", b'{"detail":"Bad Request"}')
