"""What the real server answered, request by request: status and body.

`tests/golden/http/recordings.json` holds the recordings of A1111 v1.10.1 whose answer does not hang
on a picture: for a 200 with pictures it keeps the echoed `parameters`. Where we choose to differ,
`DEVIATIONS` says what we answer and why.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

RECORDINGS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "http" / "recordings.json").read_text()
)


def out_of_bounds(field: str, bound: str, words: str, limit: int) -> dict[str, Any]:
    problem = {
        "loc": ["body", field],
        "msg": f"ensure this value is {words} {limit}",
        "type": f"value_error.number.not_{bound}",
        "ctx": {"limit_value": limit},
    }
    return {"detail": [problem]}


def at_least(field: str, limit: int) -> tuple[int, dict[str, Any]]:
    return 422, out_of_bounds(field, "ge", "greater than or equal to", limit)


def wrong(field: str, message: str, kind: str = "value_error") -> tuple[int, dict[str, Any]]:
    return 422, {"detail": [{"loc": ["body", field], "msg": message, "type": kind}]}


def unknown(key: str) -> tuple[int, dict[str, Any]]:
    body = {"error": "KeyError", "detail": f"{key}: no option has this name"}
    return 422, {**body, "body": "", "errors": repr(key)}


NO_SAMPLER = (
    400,
    {"error": "HTTPException", "detail": "Sampler not found", "body": "", "errors": ""},
)

NO_PICTURE = wrong("image", "Invalid encoded image")

#: Recording -> our status and body; with 200, the body is that of any request that works.
DEVIATIONS: dict[str, tuple[int, Any]] = {
    # A1111 crashes where a number makes no sense; we name the field.
    "errors/batch0": at_least("batch_size", 1),
    "errors/batch_neg": at_least("batch_size", 1),
    "errors/niter0": at_least("n_iter", 1),
    "errors/steps0": at_least("steps", 1),
    "errors/steps_neg": at_least("steps", 1),
    "errors/width0": at_least("width", 8),
    "errors/width_4": at_least("width", 8),
    "errors/width_neg": at_least("width", 8),
    "errors/height0": at_least("height", 8),
    "errors/seed_huge": wrong("seed", "does not fit in 64 bits"),
    "errors/nan_cfg": wrong("cfg_scale", "value is not a valid float", "type_error.float"),
    # A1111 crashes on null where it means nothing; we take the default.
    "errors/steps_null": (200, None),
    "default/null_fields": (200, None),
    # A1111 silently takes another sampler; clients of older versions know 400.
    "errors/bad_sampler": NO_SAMPLER,
    "errors/bad_sampler_index": NO_SAMPLER,
    "errors/sampler_int": NO_SAMPLER,
    # A1111 crashes on what is no picture.
    "errors/png_garbage": NO_PICTURE,
    "rest/pnginfo_empty": NO_PICTURE,
    "rest/pnginfo_garbage": NO_PICTURE,
    "rest/pnginfo_ws": NO_PICTURE,
    # A1111 crashes on an option that it does not know.
    "rest/opt_unknown": unknown("no_such_key"),
    "errors/opt_bad_key": unknown("bad_key"),
    # A1111 stores any value and then breaks GET /options.
    "rest/opt_wrongtype": wrong("CLIP_stop_at_last_layers", "value is not an integer: 'abc'"),
    "rest/opt_wrongtype_bool": wrong("samples_save", "value is not a boolean: 'notabool'"),
    "rest/opt_oor": wrong("CLIP_stop_at_last_layers", "must be from 1 to 12; not 99"),
    "rest/opt_list_type": wrong("hide_samplers", "value is not a list of texts: 'x'"),
    # A1111 redirects, or finds nothing where a base URL's slash came twice; we answer.
    "errors/double_slash": (200, None),
    "errors/trailing_slash": (200, None),
    "get/x_sdapi_v1_samplers": (200, None),
    # A1111 knows no HEAD.
    "get/head_progress": (200, None),
}

#: Fields that we cannot echo as recorded: null became the default.
ECHOED = {"default/prompt_missing_seed_null": {"seed": -1}}

#: Their answer is made inside: hires fix, upscalers.
INSIDE = {"errors/firstpass_bad", "errors/hr_bad_upscaler"}

OURS = [each for each in RECORDINGS if each["name"] not in INSIDE]


def replay(client: testing.TestClient, recording: dict[str, Any]) -> testing.Result:
    headers = dict(recording.get("headers", {}))
    body = recording.get("data")
    if "json" in recording:
        body = json.dumps(recording["json"])
        headers["Content-Type"] = "application/json"
    path, _, query = recording["path"].partition("?")
    return client.simulate_request(
        recording["method"], path, query_string=query, headers=headers, body=body
    )


@pytest.mark.parametrize("recording", OURS, ids=lambda each: each["name"])
def test_answers_as_recorded(client: testing.TestClient, recording: dict[str, Any]) -> None:
    result = replay(client, recording)
    recorded = (recording["status"], recording.get("body"))
    status, body = DEVIATIONS.get(recording["name"], recorded)
    assert result.status_code == status, result.text
    if status == 200 and "parameters" in recording:
        expected = recording["parameters"] | ECHOED.get(recording["name"], {})
        assert list(result.json["parameters"].items()) == list(expected.items())
    elif recording["method"] == "HEAD":
        assert result.content == b""
    elif status == 200 and recording["path"].startswith("/sdapi/v1/progress"):
        assert shape(result.json) == shape(body)
    elif status == 200 and status != recording["status"]:
        assert result.json
    else:
        assert result.json == body


def shape(value: Any) -> Any:
    """Keys in order, and types."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    return type(value)


@pytest.mark.parametrize(
    "recording",
    [each for each in OURS if "allow" in each and each["method"] != "HEAD"],
    ids=lambda each: each["name"],
)
def test_a_wrong_method_names_the_right_ones(
    client: testing.TestClient, recording: dict[str, Any]
) -> None:
    """On `/options` A1111 names GET alone, though it takes POST as well."""
    expected = "GET, POST" if recording["path"].endswith("/options") else recording["allow"]
    assert replay(client, recording).headers["Allow"] == expected


def test_the_lists_of_exceptions_name_recordings() -> None:
    names = {each["name"] for each in RECORDINGS}
    assert DEVIATIONS.keys() | ECHOED.keys() | INSIDE <= names
