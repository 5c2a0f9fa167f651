"""`/internal/progress` and `/internal/pending-tasks`: spec api.md 11.4."""

import base64
import io
import json
import time
from typing import Any

import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.http.app import create_app
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue

PROGRESS = "/internal/progress"


@pytest.fixture
def queue(house) -> JobQueue:
    house.queue = JobQueue(time.time)
    return house.queue


@pytest.fixture
def client(house, queue: JobQueue) -> testing.TestClient:
    return testing.TestClient(create_app(house.services()))


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    return type(value)


def test_a_task_that_runs_with_its_preview_once(client: testing.TestClient, queue: JobQueue):
    job = Job("txt2img", time.time, id="mine")
    with queue.admit(job):
        job.started_at -= 30
        job.begin_batch("", 0, 1, [25])
        job.observe(11, 25, lambda: Image.new("RGB", (8, 8), "red"))
        first = client.simulate_post(PROGRESS, json={"id_task": "mine"}).json
        picture = first.pop("live_preview")
        assert 40 < first.pop("eta") < 50
        assert first == {
            "active": True,
            "queued": False,
            "completed": False,
            "progress": 0.4,
            "id_live_preview": 1,
            "textinfo": None,
        }
        prefix, _, data = picture.partition(",")
        assert prefix == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0)) == (255, 0, 0)
        again = client.simulate_post(PROGRESS, json={"id_task": "mine", "id_live_preview": 1}).json
        assert (again["live_preview"], again["id_live_preview"]) == (None, 1)
        unseen = client.simulate_post(PROGRESS, json={"id_task": "mine", "live_preview": False})
        assert (unseen.json["live_preview"], unseen.json["id_live_preview"]) == (None, -1)


@pytest.mark.parametrize(("option", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_the_preview_has_the_format_of_the_options(
    client: testing.TestClient, queue: JobQueue, house, option: str, kind: str
):
    house.update({"live_previews_image_format": option})
    job = Job("txt2img", time.time, id="mine")
    with queue.admit(job):
        job.show([Image.new("RGB", (8, 8), "red")])
        text = client.simulate_post(PROGRESS, json={"id_task": "mine"}).json["live_preview"]
    assert text.startswith(f"data:image/{option};base64,")
    assert Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).format == kind


def test_tasks_that_wait(client: testing.TestClient, queue: JobQueue):
    with queue.admit(Job("txt2img", time.time)):
        for id in ("a", "b"):
            queue.enter(Job("txt2img", time.time, id=id))
        assert client.simulate_get("/internal/pending-tasks").json == {
            "size": 2,
            "tasks": ["a", "b"],
        }
        waiting = client.simulate_post(PROGRESS, json={"id_task": "b"}).json
    assert waiting == {
        "active": False,
        "queued": True,
        "completed": False,
        "progress": None,
        "eta": None,
        "live_preview": None,
        "id_live_preview": -1,
        "textinfo": "In queue: 2/2",
    }


def test_as_recorded(client: testing.TestClient, shared):
    """Recordings webui/*: no task, an unknown one, a finished one, no body, and while it runs."""
    client.simulate_post("/sdapi/v1/txt2img", json={"force_task_id": "task(x)"})
    for name in (
        "get_internal_pending_tasks",
        "progress_none",
        "progress_unknown",
        "progress_finished",
    ):
        recording = json.loads((shared / "golden/webui" / f"{name}.json").read_text())
        asked = recording["request"]
        body = json.dumps(asked["json"]) if "json" in asked else None
        answer = client.simulate_request(asked["method"], asked["path"], body=body)
        assert (answer.status_code, answer.json) == (recording["status"], recording["body"]), name


def test_running_has_the_recorded_shape(client: testing.TestClient, queue: JobQueue, shared):
    sequence = json.loads((shared / "golden/webui/internal_progress_seq.json").read_text())
    del sequence[0]["t"]
    with queue.admit(Job("txt2img", time.time, id="mine")):
        answer = client.simulate_post(PROGRESS, json={"id_task": "mine"}).json
    assert shape(answer) == shape(sequence[0])
    assert answer == sequence[0]


def test_no_task_while_nothing_runs(client: testing.TestClient):
    """Spec api.md 11.4. A1111 fails with 500 before its first job; we never do."""
    for body in ({}, {"id_task": None}):
        answer = client.simulate_post(PROGRESS, json=body)
        assert answer.status_code == 200
        assert (answer.json["active"], answer.json["progress"]) == (True, 0.0)
        assert (answer.json["eta"], answer.json["id_live_preview"]) == (None, -1)
