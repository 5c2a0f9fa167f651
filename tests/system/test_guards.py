"""What the flags for safety do to a whole server: spec api.md 1, 2 and 3."""

import http.client
import json
from base64 import b64encode
from pathlib import Path

import pytest

from hexfusion import bootstrap
from tests.system.conftest import Serve

USER = {"Authorization": "Basic " + b64encode(b"user:hunter2").decode()}


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


def test_users_and_tokens_of_files_and_flags(serve: Serve, tmp_path: Path) -> None:
    users, tokens = tmp_path / "users", tmp_path / "tokens"
    users.write_text("# us\nuser:hunter2,b:c\n")
    tokens.write_text("# theirs\nhunter3\n")
    flags = ("--api-auth", "d:e", "--api-auth-file", str(users), "--api-token-file", str(tokens))
    with serve(*flags) as port:
        for name in ("user:hunter2", "b:c", "d:e"):
            value = "Basic " + b64encode(name.encode()).decode()
            assert get(port, "/sdapi/v1/samplers", Authorization=value)[0] == 200
        assert get(port, "/sdapi/v1/samplers", Authorization="Bearer hunter3")[0] == 200
        assert get(port, "/sdapi/v1/samplers", Authorization="Bearer # theirs")[0] == 401
        assert get(port, "/sdapi/v1/samplers")[0] == 401
        assert get(port, "/internal/ping")[0] == 200
        shown = get(port, "/sdapi/v1/cmd-flags", **USER)[2]
    assert json.loads(shown)["api_auth"] == "***"
    assert b"hunter" not in shown


def test_pages_and_rate_and_log(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--cors-allow-origins", "http://a.test,http://b.test", "--api-log", "--api-rate=3/h")
    with serve(*flags, "--cors-allow-origins-regex", r"http://c\d\.test") as port:
        for origin, allowed in (("http://b.test", True), ("http://c1.test", True), ("x", False)):
            headers = get(port, "/sdapi/v1/samplers", Origin=origin)[1]
            assert (headers.get("access-control-allow-origin") == origin) is allowed
        status, headers, _ = get(port, "/sdapi/v1/samplers")
    assert (status, headers["retry-after"]) == (429, "1200")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--api-auth=", "--api-auth: names nobody"),
        ("--api-auth=a:b:hunter2", "--api-auth: entry 1 is not user:password"),
        ("--api-auth-file=/nowhere/users", "--api-auth-file: [Errno 2] No such file"),
        ("--api-token-file=/dev/null", "--api-token-file: holds no token"),
        ("--api-rate=often", "--api-rate: must be a number of requests"),
        ("--cors-allow-origins-regex=(", "--cors-allow-origins-regex: is no regular expression"),
        ("--tls-certfile=/nowhere/c", "--tls-certfile: goes with --tls-keyfile"),
        ("--tls-keyfile=/nowhere/k", "--tls-certfile: goes with --tls-keyfile"),
        ("--tls-certfile=/nowhere/c --tls-keyfile=/nowhere/k", "--tls-certfile: [Errno 2]"),
    ],
)
def test_a_server_that_cannot_be_guarded_as_asked_does_not_start(
    argv: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A1111 serves plain HTTP, or everybody, in some of these cases."""
    common = ["--data-dir", str(tmp_path), "--no-download-sd-model", "--port=0"]
    assert bootstrap.main([*common, *argv.split()]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"hexfusion: {message}")
    assert "hunter2" not in told
