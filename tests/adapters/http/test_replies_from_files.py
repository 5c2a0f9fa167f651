"""Replies whose bodies are in files: the same bytes, read as they are sent."""

import gzip
import json
import os
import weakref

import falcon
import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.resources.server_sent_events import EventStream
from hexfusion.adapters.storage.results.bodies_files import FileBody, spooled
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import JobState
from hexfusion.application.jobs.status import JobStatus
from hexfusion.application.ports.jobs import JobStoreError, ResultDamaged
from tests.open_files import nameless_files

TXT2IMG = "/sdapi/v1/txt2img"
ASYNC = {"Prefer": "respond-async"}
SIZE = 700  # of a picture of noise: two MB as PNG in base64


@pytest.fixture
def noise(house):
    """Pictures that do not compress."""
    picture = Image.frombytes("RGB", (SIZE, SIZE), os.urandom(SIZE * SIZE * 3))
    inner = house.txt2img

    def txt2img(request, **named):
        made = inner(request, **named)
        pictures = [type(each)(picture, each.infotext) for each in made.pictures]
        return type(made)(**{**vars(made), "pictures": tuple(pictures)})

    house.txt2img = txt2img


def app(house, spool=spooled, store=None) -> testing.TestClient:
    services = house.services()
    board = JobBoard(house.queue, store or house.kept, services.board._clock, spool=spool)
    return testing.TestClient(create_app(type(services)(**{**vars(services), "board": board})))


def test_a_large_reply_is_the_same_as_from_memory(house, noise):
    plain = testing.TestClient(create_app(house.services())).simulate_post(TXT2IMG, json={})
    made: list[FileBody] = []

    def spool(chunks):
        made.append(spooled(chunks))
        return made[-1]

    reply = app(house, spool).simulate_post(TXT2IMG, json={})
    assert isinstance(made[0], FileBody)
    assert reply.content == plain.content
    assert len(reply.content) > 2**20 and reply.json["images"]
    names = {"content-type", "content-length", "vary"}
    for name in names:
        assert reply.headers[name] == plain.headers[name]


@pytest.mark.parametrize("durable", [False, True])
def test_a_large_result_of_a_job_is_fetched_around_its_status(house, noise, tmp_path, durable):
    store = SqliteJobs(tmp_path) if durable else MemoryJobs()
    client = app(house, store=store)
    first = client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    told = client.simulate_get("/v1/jobs/a")
    assert int(told.headers["content-length"]) == len(told.content)
    assert told.json["result"] == first.json
    assert (told.json["state"], told.json["error"]) == ("done", None)
    again = client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    store.close()


def test_a_large_reply_is_compressed_as_it_is_sent(house, noise):
    plain = app(house).simulate_post(TXT2IMG, json={"force_task_id": "a"})
    zipped = app(house).simulate_post(
        TXT2IMG, json={"force_task_id": "a"}, headers={"Accept-Encoding": "gzip"}
    )
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-length" not in zipped.headers
    assert gzip.decompress(zipped.content) == plain.content


def test_events_are_not_compressed(house):
    client = app(house)
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    heard = client.simulate_get("/v1/jobs/a/events", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in heard.headers
    assert "event: done" in heard.text


def test_a_client_that_leaves_while_it_is_sent_frees_the_file(house, noise, tmp_path):
    made: list[weakref.ref] = []

    def spool(chunks):
        body = spooled(chunks, folder=tmp_path)
        made.append(weakref.ref(body))
        return body

    client = app(house, spool)
    environ = testing.create_environ(TXT2IMG, method="POST", body="{}")
    chunks = iter(client.app(environ, testing.StartResponseMock()))
    assert next(chunks)
    before = nameless_files(tmp_path)
    assert made[0]() is not None
    chunks.close()
    del chunks
    assert made[0]() is None
    assert nameless_files(tmp_path) == before - 1


def test_head_has_the_length_and_no_body(house, noise):
    client = app(house)
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    told = client.simulate_get("/v1/jobs/a")
    head = client.simulate_head("/v1/jobs/a")
    assert head.headers["content-length"] == told.headers["content-length"]
    assert head.content == b""


# What cannot be stored or read.


class Broken(MemoryJobs):
    """It cannot accept, or not read."""

    def __init__(self, **errors: Exception) -> None:
        super().__init__(durable=True)
        self.errors = errors

    def accept(self, job, request):
        if error := self.errors.get("accept"):
            raise error
        super().accept(job, request)

    def body(self, record):
        if record.kept == "result" and (error := self.errors.get("body")):
            raise error
        return super().body(record)


def test_a_job_that_cannot_be_stored_is_507_and_unknown(house):
    client = app(house, store=Broken(accept=JobStoreError("/jobs: No space left on device")))
    reply = client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers=ASYNC)
    assert reply.status_code == 507
    assert reply.json["detail"] == "/jobs: No space left on device"
    assert client.simulate_get("/v1/jobs/a").status_code == 404


def test_a_damaged_result_is_told_and_not_sent(house):
    client = app(house, store=Broken(body=ResultDamaged("what is stored of job 'a' is damaged")))
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    for _ in range(2):
        told = client.simulate_get("/v1/jobs/a")
        assert told.status_code == 200
        assert (told.json["state"], told.json["result"]) == ("failed", None)


def test_a_result_that_cannot_be_read_now_is_no_failure_of_the_job(house):
    store = Broken(body=JobStoreError("/jobs/x: Too many open files"))
    client = app(house, store=store)
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    assert client.simulate_get("/v1/jobs/a").status_code == 507
    store.errors.clear()
    assert client.simulate_get("/v1/jobs/a").json["state"] == "done"


def test_the_request_is_stored_as_it_came(house):
    store = MemoryJobs(durable=True)
    seen = []
    inner = store.accept
    store.accept = lambda job, request: (seen.append((job, request)), inner(job, request))
    raw = b'{"force_task_id": "a",\n "prompt": "\\u00e9 \xc3\xa9"}'
    reply = app(house, store=store).simulate_post(TXT2IMG, body=raw, headers=ASYNC)
    assert reply.status_code == 202
    ((job, request),) = seen
    assert (request.route, request.body, job.id) == (TXT2IMG, raw, "a")


def test_a_stream_ends_without_a_last_event_where_the_job_is_left_to_the_next_server():
    class Watch:
        postponed = True

        def status(self) -> JobStatus:
            return JobStatus(id="a", kind="txt2img", state=JobState.QUEUED, queued_at=0.0)

        def close(self) -> None:
            pass

    assert list(EventStream(Watch(), lambda: False, "png", 0)) == []


def test_no_route_says_what_it_does_not_do(house):
    """A route that runs jobs is asked by `POST` alone."""
    assert app(house).simulate_get(TXT2IMG).status == falcon.HTTP_405


def test_json_of_a_status_is_as_it_was(house):
    client = app(house)
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    told = client.simulate_get("/v1/jobs/a")
    assert told.text == json.dumps(told.json, separators=(",", ":"), ensure_ascii=False)
    assert list(told.json)[-2:] == ["result", "error"]
