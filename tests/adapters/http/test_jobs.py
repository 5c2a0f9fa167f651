"""Progress, interrupt and skip: spec api.md 11.2, 11.3."""

import base64
import io

import pytest
from falcon import testing
from PIL import Image

from hexfusion.application.jobs.progress import ProgressReport, ProgressState

RUNNING = ProgressReport(
    progress=0.25,
    eta_relative=12.5,
    state=ProgressState(
        job="scripts_txt2img",
        job_count=1,
        job_timestamp="20261122060218",
        sampling_step=8,
        sampling_steps=30,
    ),
    picture=Image.new("RGB", (8, 8), "red"),
)


def test_progress_of_a_running_job(client: testing.TestClient, house) -> None:
    house.report = RUNNING
    answer = client.simulate_get("/sdapi/v1/progress").json
    image = answer.pop("current_image")
    assert answer == {
        "progress": 0.25,
        "eta_relative": 12.5,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": "scripts_txt2img",
            "job_count": 1,
            "job_timestamp": "20261122060218",
            "job_no": 0,
            "sampling_step": 8,
            "sampling_steps": 30,
        },
        "textinfo": None,
    }
    assert Image.open(io.BytesIO(base64.b64decode(image))).getpixel((0, 0)) == (255, 0, 0)
    assert house.heard == [("progress", None, True)]


def test_the_preview_has_the_format_of_the_options(client: testing.TestClient, house) -> None:
    house.report = RUNNING
    client.simulate_post("/sdapi/v1/options", json={"samples_format": "jpg", "jpeg_quality": 50})
    image = client.simulate_get("/sdapi/v1/progress").json["current_image"]
    assert Image.open(io.BytesIO(base64.b64decode(image))).format == "JPEG"


@pytest.mark.parametrize("word", ["true", "1", "on"])
def test_progress_without_the_preview(client: testing.TestClient, house, word: str) -> None:
    house.report = RUNNING
    answer = client.simulate_get("/sdapi/v1/progress", params={"skip_current_image": word}).json
    assert answer["current_image"] is None
    assert house.heard == [("progress", None, False)]


def test_progress_of_a_named_job(client: testing.TestClient, house) -> None:
    client.simulate_get("/sdapi/v1/progress", params={"id_task": "task(1)"})
    assert house.heard == [("progress", "task(1)", True)]


def test_progress_of_a_job_that_is_not_there(client: testing.TestClient) -> None:
    result = client.simulate_get("/sdapi/v1/progress", params={"id_task": "nobody"})
    assert result.status_code == 404
    assert result.json["detail"] == "Job 'nobody' not found"


@pytest.mark.parametrize(("route", "answer"), [("interrupt", "{}"), ("skip", "null")])
@pytest.mark.parametrize(
    ("sent", "id"),
    [
        ({}, None),
        ({"query_string": "id_task=a"}, "a"),
        ({"query_string": "id_task="}, None),
        ({"json": {"id_task": "b"}}, "b"),
        ({"json": {"id_task": "b"}, "query_string": "id_task=a"}, "a"),
        ({"json": {"id_task": None}}, None),
        ({"json": []}, None),
        ({"body": "hello", "headers": {"Content-Type": "text/plain"}}, None),
    ],
)
def test_stopping(client: testing.TestClient, house, route: str, answer: str, sent, id) -> None:
    result = client.simulate_post(f"/sdapi/v1/{route}", **sent)
    assert (result.status_code, result.text) == (200, answer)
    assert house.heard == [(route, id)]


def test_stopping_nobody(client: testing.TestClient) -> None:
    result = client.simulate_post("/sdapi/v1/interrupt", params={"id_task": "nobody"})
    assert result.status_code == 404


def test_a_malformed_body_stops_nobody(client: testing.TestClient, house) -> None:
    """It may have named a job: better none is stopped than another."""
    result = client.simulate_post("/sdapi/v1/interrupt", body='{"id_task": "a"')
    assert result.status_code == 422
    assert house.heard == []
