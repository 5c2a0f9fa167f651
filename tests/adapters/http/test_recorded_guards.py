"""Every recording of credentials and of foreign pages: spec api.md 2 and 3.

A1111 ran with `--api-auth user:pass,u2:p2 --cors-allow-origins http://allowed.test`; for the cases
`nocors_*` with neither. Where we choose to differ, `DEVIATIONS` says what we answer and why.
"""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from hexfusion.adapters.http.access.accounts import Accounts, parse_users
from hexfusion.adapters.http.access.cors import Cors
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import create_app, routes

CREDENTIALS = ("bearer", "malformed", "nocolon", "none", "unknown_user", "wrong", "ok", "second_ok")
REQUESTS = ("badjson", "loras", "openapi", "samplers", "txt2img_bad", "unknown")
AUTH = [f"auth/{who}_{what}" for who in CREDENTIALS for what in REQUESTS] + ["auth/none_ping"]
PAGES = (
    "get", "get_allowed", "get_cookie", "get_noorigin", "options_plain", "post_err_allowed",
    "preflight", "preflight_allowed",
)  # fmt: skip
CORS = [f"cors/{start}_{what}" for start in ("cors", "nocors") for what in PAGES]
LET_IN = ("ok", "second_ok")

#: Recording -> our status.
DEVIATIONS = {
    # A1111 reads a stranger's body before it asks who that is; we ask first.
    **{f"auth/{who}_badjson": 401 for who in CREDENTIALS if who not in LET_IN},
    # A1111 leaves routes of its extensions open; here all are closed but those that tell nothing.
    **{f"auth/{who}_loras": 401 for who in CREDENTIALS if who not in LET_IN},
    # A1111 has /internal beside its web UI alone.
    "auth/none_ping": 200,
}

#: Headers that must be as recorded. Ours has WWW-Authenticate besides, which a 401 must have.
HEADERS = (
    "access-control-allow-credentials", "access-control-allow-headers",
    "access-control-allow-methods", "access-control-allow-origin", "access-control-max-age",
    "allow", "content-type",
)  # fmt: skip


def clients(house) -> dict[bool, testing.TestClient]:
    """Servers as the recorded ones were started: with flags, and without."""
    gate = Gate(Accounts(parse_users("user:pass,u2:p2")))
    cors = Cors(["http://allowed.test"])
    return {
        True: testing.TestClient(create_app(house.services(), gate=gate, cors=cors)),
        False: testing.TestClient(create_app(house.services())),
    }


def replay(house, recording: dict[str, Any]) -> testing.Result:
    request = recording["request"]
    headers, body = dict(request["headers"]), request.get("data")
    if "json" in request:
        body = json.dumps(request["json"])
        headers["Content-Type"] = "application/json"
    client = clients(house)[not recording["name"].startswith("nocors_")]
    return client.simulate_request(request["method"], request["path"], headers=headers, body=body)


@pytest.mark.parametrize("name", AUTH + CORS)
def test_answers_as_recorded(shared: Path, house, name: str) -> None:
    recording = json.loads((shared / "golden" / f"{name}.json").read_text())
    if recording["request"]["path"] not in {*routes(house.services(), ""), "/sdapi/v1/nope"}:
        pytest.skip("that route is not there yet")
    result = replay(house, recording)
    assert result.status_code == DEVIATIONS.get(name, recording["status"])
    if name in DEVIATIONS:
        assert result.status_code != recording["status"]
        return
    recorded = {key: recording["headers"].get(key) for key in HEADERS}
    assert {key: result.headers.get(key) for key in HEADERS} == recorded
    assert varies(result.headers) >= varies(recording["headers"])
    if "body_text" in recording:
        assert result.text == recording["body_text"]
    elif not name.endswith(("_openapi", "_loras")):  # ours says more; other models are here
        assert result.json == recording["body"]


def varies(headers: Any) -> set[str]:
    return set(filter(None, headers.get("vary", "").split(", ")))


def test_none_is_left_out(shared: Path) -> None:
    there = {f"{path.parent.name}/{path.stem}" for s in ("auth", "cors")
             for path in (shared / "golden" / s).glob("*.json")}  # fmt: skip
    assert there == {*AUTH, *CORS}
    assert set(DEVIATIONS) <= there


def test_the_recorded_credentials_are_those_of_the_flag(shared: Path) -> None:
    recording = json.loads((shared / "golden/auth/second_ok_samplers.json").read_text())
    scheme, _, pair = recording["request"]["headers"]["Authorization"].partition(" ")
    assert (scheme, b64decode(pair)) == ("Basic", b"u2:p2")
