"""`--api-log`: one JSON object a request (spec api.md 2 has A1111's line)."""

import json
import re
from base64 import b64encode

import pytest
from falcon import testing

from hexfusion.adapters.http.access.access_log import AccessLog
from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import create_app

USER = {"Authorization": "Basic " + b64encode(b"user:hunter2").decode()}


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def logged(house, lines: list[str]) -> testing.TestClient:
    gate = Gate(Accounts({"user": "hunter2"}))
    return testing.TestClient(create_app(house.services(), gate=gate, log=AccessLog(lines.append)))


def test_a_job(logged: testing.TestClient, lines: list[str]) -> None:
    answer = logged.simulate_post(
        "/sdapi/v1/txt2img",
        query_string="key=hunter3",
        json={"prompt": "hunter4", "force_task_id": "mine"},
        headers={"Accept-Encoding": "gzip", **USER},
        extras={"REMOTE_ADDR": "10.1.2.3"},
    )
    (line,) = lines
    told = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", told.pop("time"))
    assert 0 <= told.pop("ms") < 10_000
    assert told == {
        "method": "POST",
        "path": "/sdapi/v1/txt2img",
        "status": 200,
        "client": "10.1.2.3",
        "user": "user",
        "bytes": len(answer.content),
        "task": "mine",
    }
    assert "hunter" not in line
    assert b64encode(b"user:hunter2").decode() not in line


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/sdapi/v1/options", {}, 401),
        ("/sdapi/v1/nope", USER, 404),
        ("/sdapi/v1/txt2img", USER, 405),
        ("/internal/ping", {}, 200),
    ],
)
def test_whatever_the_answer(logged, lines, path, headers, status) -> None:
    answer = logged.simulate_get(path, headers=headers)
    told = json.loads(lines[0])
    assert (told["path"], told["status"], told["bytes"]) == (path, status, len(answer.content))


def test_a_preflight(logged, lines) -> None:
    headers = {"Origin": "http://x", "Access-Control-Request-Method": "POST"}
    logged.simulate_options("/sdapi/v1/options", headers=headers)
    assert json.loads(lines[0])["bytes"] == len("Disallowed CORS origin")


def test_no_path_can_forge_a_line(logged, lines) -> None:
    logged.simulate_get("/a%0a%7b%22user%22%3a%22root%22%7d%1b[2J\u2028")
    assert len(lines) == 1
    assert lines[0].isascii() and lines[0].isprintable()
    assert json.loads(lines[0])["path"].startswith('/a\n{"user"')
