"""The log tells why each request was refused, in one line, without secrets."""

import gc
import json
import logging
import weakref
from base64 import b64encode
from dataclasses import replace

import falcon
import pytest
from falcon import testing

from hexfusion.adapters.http.access.access_log import AccessLog
from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.access.rate_limit import RateLimit, parse_rate
from hexfusion.adapters.http.app import create_app
from hexfusion.application.system.health import Health
from hexfusion.domain.errors import (
    CheckpointError,
    InvalidRequest,
    JobCancelled,
    ModelUnavailable,
    NotFound,
    OutOfMemory,
    QueueFull,
    ServerStopping,
    Unsupported,
)

USER = {"Authorization": "Basic " + b64encode(b"bob:hunter2").decode()}
PATH = "/sdapi/v1/txt2img"
LOGGER = "hexfusion.refused"


@pytest.fixture
def said(caplog):
    """The lines that were logged, as (level, text), and their records."""
    caplog.set_level(logging.DEBUG, LOGGER)

    def lines() -> list[tuple[str, str]]:
        return [
            (each.levelname, each.getMessage()) for each in caplog.records if each.name == LOGGER
        ]

    return lines


@pytest.mark.parametrize(
    ("error", "level", "status", "words"),
    [
        (InvalidRequest("width", "must be from 8"), "INFO", 422, "InvalidRequest: width: must be"),
        (NotFound("sampler", "Nope"), "INFO", 400, "sampler 'Nope'"),
        (NotFound("checkpoint", "x"), "ERROR", 500, "checkpoint 'x'"),
        (Unsupported("tiling", "later"), "ERROR", 501, "tiling: later"),
        (QueueFull(32, 17), "WARNING", 429, "QueueFull: "),
        (JobCancelled("job x was cancelled"), "INFO", 409, "job x was cancelled"),
        (ServerStopping(), "WARNING", 503, "ServerStopping: "),
        (ModelUnavailable("put one in models"), "ERROR", 500, "put one in models"),
        (CheckpointError("a.ckpt", "is damaged"), "ERROR", 500, "a.ckpt: is damaged"),
        (OutOfMemory("1 picture", "5 GiB"), "ERROR", 507, "not enough memory for 1 picture: 5 GiB"),
        (MemoryError(), "ERROR", 507, "MemoryError: "),
        (KeyError("foo"), "ERROR", 500, "KeyError: 'foo'"),
        (ExceptionGroup("two", [ValueError("a")]), "ERROR", 500, "ExceptionGroup: two"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_is_told_with_its_reason(broken, said, error, level, status, words) -> None:
    client = broken(error)
    answer = client.simulate_post(PATH, json={"force_task_id": "mine"}, remote_addr="10.1.2.3")
    assert answer.status_code == status
    ((logged, text),) = said()
    assert logged == level
    assert text.startswith(f"POST {PATH} {status}: ")
    assert words in text
    assert "client 10.1.2.3" in text


def test_the_task_and_the_user(house, said) -> None:
    gate = Gate(Accounts({"bob": "hunter2"}))

    def fail(*_: object) -> None:
        raise ZeroDivisionError("x")

    house.on_txt2img = fail
    client = testing.TestClient(create_app(house.services(), gate=gate))
    client.simulate_post(PATH, json={"force_task_id": "mine\n"}, headers=USER)
    ((_, text),) = said()
    assert text.endswith("ZeroDivisionError: x (client 127.0.0.1, user bob, task mine\\n)")


def test_no_secrets_and_no_bodies(house, said) -> None:
    gate = Gate(Accounts({"bob": "hunter2"}))
    client = testing.TestClient(create_app(house.services(), gate=gate))
    wrong = {"Authorization": "Basic " + b64encode(b"bob:hunter3").decode()}
    client.simulate_get("/sdapi/v1/options", headers=wrong, query_string="key=hunter4")
    client.simulate_post(PATH, body=b'{"prompt": "hunter5"', headers=USER)
    client.simulate_post(PATH, json={"prompt": "hunter6", "steps": "hunter"}, headers=USER)
    levels = [level for level, _ in said()]
    texts = " ".join(text for _, text in said())
    assert levels == ["WARNING", "INFO", "INFO"]
    assert not any(f"hunter{number}" in texts for number in range(2, 7))
    assert wrong["Authorization"].split()[1] not in texts
    assert "body.steps: value is not a valid integer" in texts


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", PATH, 405, "Method Not Allowed"),
        ("OPTIONS", "/sdapi/v1/options", 405, "Method Not Allowed"),
        ("POST", PATH, 422, "field required"),
        ("POST", "/sdapi/v1/png-info", 422, "field required"),
        ("GET", "/v1/jobs/none", 404, "none"),
    ],
)
def test_refusals_before_any_work(client, said, method, path, status, words) -> None:
    assert client.simulate_request(method, path).status_code == status
    ((level, text),) = said()
    assert level == "INFO"
    assert text.startswith(f"{method} {path} {status}: ")
    assert words in text


def test_a_body_too_large_and_too_many_requests(house, said) -> None:
    gate = Gate(rate=RateLimit(parse_rate("2/h"), lambda: 0.0))
    client = testing.TestClient(create_app(house.services(), gate=gate, max_body=10))
    client.simulate_post(PATH, body=b"x" * 11)
    client.simulate_get("/sdapi/v1/samplers")
    client.simulate_get("/sdapi/v1/samplers")
    (_, large), (level, many) = said()
    assert "413: TooLarge: the body is too large: at most 10 bytes" in large
    assert level == "WARNING"
    assert "429: TooManyRequests: " in many


def test_a_status_without_an_error_tells_what_the_reply_says(house, said) -> None:
    house.health = Health(ready=False, model="none", queue="open")
    client = testing.TestClient(create_app(house.services()))
    assert client.simulate_get("/health/ready").status_code == 503
    ((level, text),) = said()
    assert level == "WARNING"
    assert '"model":"none"' in text
    headers = {"Origin": "http://x", "Access-Control-Request-Method": "POST"}
    client.simulate_options("/sdapi/v1/options", headers=headers)
    assert "Disallowed CORS origin" in said()[-1][1]


@pytest.mark.parametrize("path", ["/health/live", "/sdapi/v1/samplers", "/openapi.json"])
def test_what_is_answered_well_is_not_told(client, said, path) -> None:
    assert client.simulate_get(path).status_code == 200
    assert said() == []


@pytest.mark.parametrize(
    "evil",
    [
        "a\nERROR root: forged",
        "a\r\nb",
        "\x1b[2J\x1b[31m",
        "\u2028\u2029\x85",
        "\u202ereversed",
        "\x00\x07\x7f",
    ],
)
def test_no_text_can_forge_a_line(house, broken, said, evil) -> None:
    client = broken(InvalidRequest("field", evil))
    client.simulate_post(PATH, json={"force_task_id": evil})
    client.simulate_get("/a" + "".join(f"%{byte:02x}" for byte in evil.encode()))
    assert len(said()) == 2
    for _, text in said():
        assert text.isprintable()
        assert "\\" in text


def test_what_is_long_is_cut(broken, said) -> None:
    client = broken(InvalidRequest("prompt", "x" * 100_000))
    client.simulate_post(PATH, json={"force_task_id": "t" * 1000})
    client.simulate_get("/" + "p" * 5000)
    assert all(len(text) < 1200 for _, text in said())
    assert "characters more)" in said()[0][1]


def test_the_reason_is_in_the_access_log_too(house) -> None:
    lines: list[str] = []
    client = testing.TestClient(create_app(house.services(), log=AccessLog(lines.append)))
    client.simulate_get("/sdapi/v1/samplers")
    client.simulate_post(PATH, json={"steps": "many", "force_task_id": "a"})
    client.simulate_post(PATH, json={"seed": 2**70, "force_task_id": "b\nc"})
    well, refused, late = map(json.loads, lines)
    assert "reason" not in well
    assert refused["reason"] == "Refused: body.steps: value is not a valid integer"
    assert late["reason"] == "InvalidRequest: seed: does not fit in 64 bits"
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_a_compressed_reply_is_told_all_the_same(house) -> None:
    """Its reason is taken before the reply is compressed."""
    lines: list[str] = []

    class Long:
        def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
            resp.status, resp.text = falcon.HTTP_503, "not yet " * 500

    app = create_app(house.services(), log=AccessLog(lines.append))
    app.add_route("/long", Long())
    headers = {"Accept-Encoding": "gzip"}
    testing.TestClient(app).simulate_get("/long", headers=headers)
    assert json.loads(lines[0])["reason"].startswith("not yet not yet")


def test_an_unexpected_error_is_told_with_its_traceback_and_then_let_go(house, caplog) -> None:
    """An error in a circle with the request would keep the job's pictures until a collection."""

    kept: list[weakref.ref[Exception]] = []

    class Odd(Exception):
        def __init__(self) -> None:
            kept.append(weakref.ref(self))

    def fail(*_: object) -> None:
        raise Odd  # without a name, which would be a circle of its own

    traced: list[bool] = []

    class Looks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            traced.append(bool(record.exc_info))

    logger, handler = logging.getLogger(LOGGER), Looks()
    client = testing.TestClient(create_app(replace(house.services(), read_options=fail)))
    logger.addHandler(handler)
    logger.propagate = False
    gc.collect()
    gc.disable()
    try:
        assert client.simulate_get("/sdapi/v1/options").status_code == 500
        assert traced == [True]
        assert kept[0]() is None
    finally:
        gc.enable()
        logger.propagate = True
        logger.removeHandler(handler)
