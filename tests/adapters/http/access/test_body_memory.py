"""What the bodies of all requests take together, and what stays of one while its job waits."""

import gc
import io
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.http.access.body_memory import SMALL, BodyMemory
from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.resources.extras import BatchImages, SingleImage
from hexfusion.adapters.http.resources.generation import ImageToImage
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue

PATIENCE = 10.0
ASYNC = {"Prefer": "respond-async"}


def noise(side: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 100).save(file, "PNG")
    return file.getvalue()


FILE = noise(400)
TEXT = b64encode(FILE).decode()
BODIES = {
    "/sdapi/v1/img2img": {"init_images": [TEXT], "mask": TEXT},
    "/sdapi/v1/extra-single-image": {"image": TEXT},
    "/sdapi/v1/extra-batch-images": {"imageList": [{"data": TEXT, "name": ""}] * 2},
    "/sdapi/v1/interrogate": {"image": TEXT},
}


@pytest.fixture
def queue(house) -> JobQueue:
    house.queue = JobQueue(time.time, slots=1, max_waiting=1)
    return house.queue


@pytest.fixture
def busy(queue: JobQueue) -> Iterator[JobQueue]:
    """The queue with its slot taken."""
    with queue.admit(Job("txt2img", time.time)):
        yield queue


def client_of(house, limit: int) -> tuple[testing.TestClient, BodyMemory]:
    memory = BodyMemory(limit)
    return testing.TestClient(create_app(house.services(), memory=memory)), memory


def until(true) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("path", BODIES)
def test_one_more_than_may_wait_is_refused(house, busy, path):
    body = json.dumps(BODIES[path]).encode()
    client, memory = client_of(house, len(body) + SMALL)
    first = threading.Thread(target=lambda: client.simulate_post(path, body=body))
    first.start()
    until(busy.waiting)
    assert memory.held == len(body)
    refused = client.simulate_post(path, body=body)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert "all together may have" in refused.json["detail"]
    assert client.simulate_post("/sdapi/v1/interrupt").status_code == 200
    assert client.simulate_post("/sdapi/v1/options", json={"n_rows": 2}).status_code == 200
    busy.interrupt_all()
    first.join(PATIENCE)
    assert memory.held == 0


def test_a_job_that_is_left_behind_keeps_its_share(house, queue):
    body = json.dumps(BODIES["/sdapi/v1/img2img"]).encode()
    client, memory = client_of(house, len(body))
    with queue.admit(Job("txt2img", time.time)):
        left = client.simulate_post("/sdapi/v1/img2img", body=body, headers=ASYNC)
        assert left.status_code == 202
        assert memory.held == len(body)
        assert client.simulate_post("/sdapi/v1/img2img", body=body).status_code == 429
    until(lambda: memory.held == 0)
    assert client.simulate_get(f"/v1/jobs/{left.json['id']}").json["state"] == "done"


def test_what_is_refused_leaves_nothing_reserved(house):
    client, memory = client_of(house, 2**30)
    for body in (b"{" * (SMALL + 1), json.dumps({"init_images": ["x" * SMALL]}).encode()):
        assert client.simulate_post("/sdapi/v1/img2img", body=body).status_code == 422
        assert (
            client.simulate_post("/sdapi/v1/img2img", body=body, headers=ASYNC).status_code == 422
        )
        assert memory.held == 0


def test_a_body_over_the_bound_is_taken_while_there_is_no_other(house):
    client, memory = client_of(house, 1)
    reply = client.simulate_post("/sdapi/v1/img2img", json=BODIES["/sdapi/v1/img2img"])
    assert reply.status_code == 200
    assert memory.held == 0


@pytest.mark.parametrize("path", [*BODIES, "/sdapi/v1/png-info"])
def test_what_is_fetched_counts(house, path):
    """A body of 40 KB may name a thousand pictures of 32 MiB."""
    house.stored = house.stored.updated({"api_enable_requests": True})
    house.behind = lambda url: FILE
    sent = BODIES.get(path, {"image": TEXT})
    body = json.loads(json.dumps(sent).replace(TEXT, "http://example.org/a.png"))
    client, memory = client_of(house, len(FILE) - 1)
    refused = client.simulate_post(path, json=body)
    assert refused.status_code == 429
    assert len([each for each in house.heard if each[0] == "download"]) == 1
    client, memory = client_of(house, 2 * len(FILE))
    assert client.simulate_post(path, json=body).status_code == 200
    assert memory.held == 0


@pytest.mark.parametrize("path", BODIES)
def test_a_full_queue_is_asked_before_a_picture_is_looked_at(house, path):
    """Neither decoded nor fetched: what is wrong with it would be told otherwise."""
    house.queue = JobQueue(time.time, slots=1, max_waiting=0)
    client, _ = client_of(house, 2**30)
    wrong = json.loads(json.dumps(BODIES[path]).replace(TEXT, "http://example.org/a.png"))
    with house.queue.admit(Job("txt2img", time.time)):
        refused = client.simulate_post(path, json=wrong)
    assert refused.status_code == 429
    assert not [each for each in house.heard if each[0] == "download"]
    assert client.simulate_post(path, json=wrong).status_code != 429


def test_a_known_job_is_joined_though_the_queue_is_full(house, queue):
    client, _ = client_of(house, 2**30)
    body = {**BODIES["/sdapi/v1/img2img"], "force_task_id": "mine"}
    first = client.simulate_post("/sdapi/v1/img2img", json=body)
    with queue.admit(Job("txt2img", time.time)):
        queue.enter(Job("txt2img", time.time))
        again = client.simulate_post("/sdapi/v1/img2img", json=body)
        assert (
            client.simulate_post("/sdapi/v1/img2img", json={**body, "seed": 1}).status_code == 429
        )
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.content == first.content


def held_by(thing: object) -> list[bytes | str]:
    """The texts and bytes over 4 KiB that are reachable, beyond modules and classes."""
    seen: set[int] = set()
    found, todo = [], [thing]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, ModuleType | type):
            continue
        seen.add(id(each))
        if isinstance(each, bytes | str) and len(each) > 4096:
            found.append(each)
        elif isinstance(each, FunctionType):
            todo += [each.__closure__, each.__defaults__]
        else:
            todo += gc.get_referents(each)
    return found


class Keeping:
    """A use-case that keeps what it is given."""

    def prepare(self, *given: object, **named: object) -> "_Kept":
        return _Kept(given, named)


class Room:
    def check_room(self, *asked: object) -> None:
        pass


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (ImageToImage, "/sdapi/v1/img2img"),
        (SingleImage, "/sdapi/v1/extra-single-image"),
        (BatchImages, "/sdapi/v1/extra-batch-images"),
    ],
)
def test_of_a_request_that_waits_the_files_are_held_and_no_text(resource, path):
    body = json.dumps(BODIES[path]).encode()
    request = testing.create_req(method="POST", path=path, body=body)
    order, _ = resource(Keeping(), Room(), lambda *_: b"")._received(request)
    del request
    assert held_by(order) == [FILE] * 2 or held_by(order) == [FILE]


class _Kept:
    """What a use-case would keep for its job."""

    models = ()

    def __init__(self, *held: object) -> None:
        self.held = held

    def __call__(self, job: Job) -> None: ...

    make = __call__
