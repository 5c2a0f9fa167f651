"""The table from errors to answers: spec api.md 2.1."""

import logging
from collections.abc import Callable

import pytest
from falcon import testing

from hexfusion.application.ports.spool import SpoolError
from hexfusion.domain.errors import (
    CheckpointError,
    InvalidRequest,
    JobCancelled,
    JobTimedOut,
    ModelUnavailable,
    NotAlwaysOn,
    NotANumber,
    NotFound,
    OptionError,
    OutOfMemory,
    QueueFull,
    ReplyTooLarge,
    TooManyWaiting,
    Unsupported,
)
from hexfusion.domain.options import FrozenOption, UnknownOption

Broken = Callable[[Exception], testing.TestClient]
PATH = "/sdapi/v1/txt2img"


def framework(field: str, message: str) -> dict[str, object]:
    return {"detail": [{"loc": ["body", field], "msg": message, "type": "value_error"}]}


def deliberate(detail: str) -> dict[str, object]:
    return {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}


def crash(name: str, text: str) -> dict[str, object]:
    return {"error": name, "detail": "", "body": "", "errors": text}


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (InvalidRequest("width", "too wide"), 422, framework("width", "too wide")),
        (
            NotAlwaysOn(),
            422,
            deliberate("Cannot have a selectable script in the always on scripts params"),
        ),
        (NotFound("sampler", "Nope"), 400, deliberate("Sampler not found")),
        (NotFound("script", "nope"), 422, deliberate("Script 'nope' not found")),
        (NotFound("job", "x"), 404, deliberate("Job 'x' not found")),
        (NotFound("checkpoint", "x"), 500, crash("RuntimeError", "model 'x' not found")),
        (
            UnknownOption("bad_key"),
            422,
            crash("KeyError", "'bad_key'") | {"detail": "bad_key: no option has this name"},
        ),
        (FrozenOption("a", "frozen"), 500, crash("AssertionError", "frozen")),
        (OptionError("a", "no number"), 422, framework("a", "no number")),
        (Unsupported("tiling", "later"), 501, deliberate("tiling: later")),
        (JobCancelled("job x was cancelled"), 409, deliberate("job x was cancelled")),
        (
            ReplyTooLarge("send_images", 5),
            422,
            framework("send_images", "the reply would have more than 5 bytes (--job-reply)"),
        ),
        (
            JobTimedOut(60),
            409,
            deliberate("the job was stopped after 60 seconds of work (--job-seconds)"),
        ),
        (
            SpoolError("/tmp: No space left on device"),
            507,
            deliberate(
                "the job's pictures cannot be kept: /tmp: No space left on device (--spool-dir)"
            ),
        ),
        (ModelUnavailable("none"), 500, crash("ModelUnavailable", "none")),
        (NotANumber("NaN in UNet"), 500, crash("NotANumber", "NaN in UNet")),
        (
            CheckpointError("a.safetensors", "is missing", "x.weight"),
            500,
            crash("CheckpointError", "a.safetensors: tensor 'x.weight': is missing"),
        ),
        (KeyError("foo"), 500, crash("KeyError", "'foo'")),
        (
            OutOfMemory("1 pictures of 9x9", "tried to allocate 5 GiB"),
            507,
            crash(
                "OutOfMemoryError",
                "not enough memory for 1 pictures of 9x9: tried to allocate 5 GiB",
            ),
        ),
        (
            MemoryError(),
            507,
            crash("OutOfMemoryError", "the server has not enough memory for this"),
        ),
        (ExceptionGroup("two", [ValueError("a")]), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_its_status_and_shape(
    broken: Broken, error: Exception, status: int, body: object
) -> None:
    result = broken(error).simulate_post(PATH, json={})
    assert result.status_code == status
    assert result.headers["Content-Type"] == "application/json"
    if body:
        assert result.json == body


@pytest.mark.parametrize("error", [QueueFull(32, 17), TooManyWaiting("it", 5, 17)])
def test_a_full_queue_says_when_to_come_again(broken: Broken, error: Exception) -> None:
    result = broken(error).simulate_post(PATH, json={})
    assert result.status_code == 429
    assert result.headers["Retry-After"] == "17"
    assert result.json["error"] == "HTTPException"


def test_what_nobody_expected_is_logged_with_its_traceback(
    broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        broken(ZeroDivisionError("x")).simulate_post(PATH, json={})
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_was_expected_is_logged_without(
    broken: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        broken(ModelUnavailable("none")).simulate_post(PATH, json={})
    assert "none" in caplog.text
    assert "Traceback" not in caplog.text


def test_an_error_in_one_request_does_not_touch_the_next(broken: Broken) -> None:
    client = broken(RuntimeError("boom"))
    client.simulate_post(PATH, json={})
    assert client.simulate_get("/internal/ping").text == "{}"
