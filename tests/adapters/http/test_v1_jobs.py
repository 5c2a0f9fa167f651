"""Jobs that outlive their requests. A1111 has none; spec api.md 4 on the ids."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.jobs.board import MAX_WATCHERS
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.jobs import BytesBody, JobRecord
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.generation import Txt2Img

TXT2IMG = "/sdapi/v1/txt2img"
ASYNC = {"Prefer": "respond-async"}
PATIENCE = 10.0


class Bench:
    """Work that is at step 2 of 4, with a preview, until it is let go on or told to stop."""

    def __init__(self) -> None:
        self.begun = 0
        self.at_work, self.end = threading.Event(), threading.Event()
        self.picture = Image.new("RGB", (8, 8), "red")
        self.job: Job | None = None

    def __call__(self, request: Txt2Img, abandoned: Callable[[], bool]) -> None:
        self.begun += 1
        self.at_work.set()
        while not self.end.wait(0.005) and not abandoned():
            pass


@pytest.fixture
def bench(house) -> Iterator[Bench]:
    bench = Bench()
    inner = house.txt2img

    def txt2img(request, *, given, abandoned, job):
        job.begin_batch("scripts_txt2img", 0, 1, [4])
        for step in (1, 2):
            job.observe(step, 4, lambda: bench.picture)
        bench.job = job
        result = inner(request, given=given, abandoned=abandoned, job=job)
        job.interrupted |= abandoned()
        return result

    house.on_txt2img = bench
    house.txt2img = txt2img
    yield bench
    bench.end.set()


@pytest.fixture
def client(house, bench: Bench) -> testing.TestClient:
    return testing.TestClient(create_app(house.services()))


def over(client: testing.TestClient, path: str) -> dict:
    deadline = time.monotonic() + PATIENCE
    while (job := client.simulate_get(path).json)["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return job


def test_a_job_is_taken_at_once_and_fetched_when_it_is_done(
    client: testing.TestClient, bench: Bench
) -> None:
    taken = client.simulate_post(TXT2IMG, json={"prompt": "a cat", "steps": 4}, headers=ASYNC)
    assert taken.status_code == 202
    assert taken.headers["Preference-Applied"] == "respond-async"
    path = taken.headers["Location"]
    assert path == f"/v1/jobs/{taken.json['id']}"
    assert taken.headers["X-Task-Id"] == taken.json["id"]
    assert bench.at_work.wait(PATIENCE)
    running = client.simulate_get(path).json
    assert running["state"] == "running"
    assert (running["step"], running["steps"], running["text"]) == (2, 4, "scripts_txt2img")
    assert 0.25 < running["progress"] < 0.27
    assert running["eta"] >= 0
    assert (running["result"], running["error"], running["expires_at"]) == (None, None, None)
    bench.end.set()
    done = over(client, path)
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    assert done["queued_at"] <= done["started_at"] <= done["finished_at"] < done["expires_at"]
    waited = client.simulate_post(TXT2IMG, json={"prompt": "a cat", "steps": 4}).json
    assert done["result"] == waited


def test_its_id_is_hard_to_guess_or_the_clients_choice(
    client: testing.TestClient, bench: Bench
) -> None:
    bench.end.set()
    ids = {client.simulate_post(TXT2IMG, json={}, headers=ASYNC).json["id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(id) >= 22 for id in ids)
    mine = client.simulate_post(TXT2IMG, json={"force_task_id": "task(č d)"}, headers=ASYNC)
    assert mine.headers["Location"] == f"/v1/jobs/task({quote('č d')})"
    path = mine.headers["Location"].replace("(", "%28")
    assert over(client, path)["id"] == "task(č d)"


@pytest.mark.parametrize("id", ["a/b", ".", "..", "a\nb"])
def test_an_id_that_does_not_fit_in_a_path_is_refused(client: testing.TestClient, id: str) -> None:
    result = client.simulate_post(TXT2IMG, json={"force_task_id": id}, headers=ASYNC)
    assert result.status_code == 422
    assert result.json["detail"][0]["loc"] == ["body", "force_task_id"]


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async", "respond-async;x=1"])
def test_the_preference_among_others(client: testing.TestClient, bench: Bench, prefer: str) -> None:
    bench.end.set()
    assert client.simulate_post(TXT2IMG, json={}, headers={"Prefer": prefer}).status_code == 202


@pytest.mark.parametrize("prefer", ["", "wait=5", "respond-asynchronously", "return=minimal"])
def test_other_preferences_change_nothing(
    client: testing.TestClient, bench: Bench, prefer: str
) -> None:
    bench.end.set()
    assert client.simulate_post(TXT2IMG, json={}, headers={"Prefer": prefer}).status_code == 200


def test_a_wrong_request_is_refused_at_once(client: testing.TestClient) -> None:
    result = client.simulate_post(TXT2IMG, json={"steps": "x"}, headers=ASYNC)
    assert result.status_code == 422


def test_why_a_job_failed_is_told_as_the_route_would(house, bench: Bench) -> None:
    def fail(*_: object) -> None:
        raise CheckpointError("a.safetensors", "is truncated", "x.weight")

    house.on_txt2img = fail
    client = testing.TestClient(create_app(house.services()))
    taken = client.simulate_post(TXT2IMG, json={}, headers=ASYNC)
    failed = over(client, taken.headers["Location"])
    assert (failed["state"], failed["result"]) == ("failed", None)
    waited = client.simulate_post(TXT2IMG, json={})
    assert failed["error"] == {"status": waited.status_code, "body": waited.json}
    assert failed["error"]["body"]["error"] == "CheckpointError"


# One id, one job: docs/adr/0009.


def test_the_same_request_with_the_same_id_is_answered_twice_and_done_once(
    client: testing.TestClient, bench: Bench
) -> None:
    bench.end.set()
    body = {"force_task_id": "mine", "seed": -1, "prompt": "a cat"}
    first, again = (client.simulate_post(TXT2IMG, json=body) for _ in range(2))
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Task-Id"] == "mine"
    assert bench.begun == 1
    assert client.simulate_get("/v1/jobs/mine").json["result"] == first.json
    # The same, told in other ways: defaults, a number as text, a field that no request has.
    same = {**body, "steps": "50", "negative_prompt": "", "url": "http://x"}
    assert client.simulate_post(TXT2IMG, json=same).headers["Idempotent-Replayed"] == "true"
    assert client.simulate_post(TXT2IMG, json=same, headers=ASYNC).json["state"] == "done"


def test_another_request_with_that_id_meanwhile_is_told_what_differs(
    client: testing.TestClient, bench: Bench
) -> None:
    body = {"force_task_id": "mine", "prompt": "a cat"}
    client.simulate_post(TXT2IMG, json=body, headers=ASYNC)
    for other, field in (({"steps": 4}, "steps"), ({"prompt": "a dog"}, "prompt")):
        for headers in ({}, ASYNC):
            result = client.simulate_post(TXT2IMG, json={**body, **other}, headers=headers)
            assert result.status_code == 409
            assert result.json["error"] == "HTTPException"
            assert result.json["detail"] == (
                f"force_task_id: job 'mine' is under way with another {field}"
            )


def test_a_client_that_always_sends_one_id_gets_every_picture_it_asks_for(
    client: testing.TestClient, bench: Bench
) -> None:
    """Spec api.md 4: A1111 takes any id, and one that was used as well."""
    bench.end.set()
    prompts = ["a cat", "a dog", "a cat", "a bird"]
    echoes = [
        client.simulate_post(TXT2IMG, json={"force_task_id": "x", "prompt": each}).json
        for each in prompts
    ]
    assert [echo["parameters"]["prompt"] for echo in echoes] == prompts
    assert bench.begun == 4


def test_infotext_fills_what_is_not_given_so_what_is_given_counts(
    client: testing.TestClient, bench: Bench
) -> None:
    """Spec api.md 10."""
    text = "a cat\nSteps: 3, Seed: 5, Size: 64x96"
    body = {"force_task_id": "x", "infotext": text}
    client.simulate_post(TXT2IMG, json=body, headers=ASYNC)
    other = client.simulate_post(TXT2IMG, json={**body, "steps": 50})
    assert other.status_code == 409  # 50 is the default, but here it keeps the 3 out


# Listing and cancelling.


def test_jobs_are_listed_without_what_came_of_them(
    client: testing.TestClient, bench: Bench
) -> None:
    assert client.simulate_get("/v1/jobs").json == {"jobs": []}
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers=ASYNC)
    bench.end.set()
    over(client, "/v1/jobs/a")
    bench.end.clear()
    client.simulate_post(TXT2IMG, json={"force_task_id": "b"}, headers=ASYNC)
    listed = client.simulate_get("/v1/jobs").json["jobs"]
    assert [(each["id"], each["result"]) for each in listed] == [("b", None), ("a", None)]
    assert listed[1]["state"] == "done"


def test_a_running_job_is_stopped_and_a_finished_one_forgotten(
    client: testing.TestClient, bench: Bench
) -> None:
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers=ASYNC)
    assert bench.at_work.wait(PATIENCE)
    asked = client.simulate_delete("/v1/jobs/a")
    assert (asked.status_code, asked.json["state"]) == (202, "running")
    stopped = over(client, "/v1/jobs/a")
    assert stopped["state"] == "cancelled"
    assert stopped["result"]["images"]  # the pictures so far
    assert client.simulate_delete("/v1/jobs/a").status_code == 200
    for ask in (client.simulate_get, client.simulate_delete):
        result = ask("/v1/jobs/a")
        assert (result.status_code, result.json["detail"]) == (404, "Job 'a' not found")


def test_a_waiting_job_goes_at_once(house, bench: Bench) -> None:
    house.queue = JobQueue(time.time, slots=1)
    client = testing.TestClient(create_app(house.services()))
    for id in "abc":
        client.simulate_post(TXT2IMG, json={"force_task_id": id}, headers=ASYNC)
    assert client.simulate_get("/v1/jobs/c").json["position"] == 2
    gone = client.simulate_delete("/v1/jobs/b")
    assert (gone.status_code, gone.json["state"]) == (200, "cancelled")
    waiting = client.simulate_get("/v1/jobs/c").json
    assert (waiting["position"], waiting["progress"], waiting["eta"]) == (1, 0.0, None)
    bench.end.set()
    assert over(client, "/v1/jobs/c")["state"] == "done"
    assert client.simulate_get("/v1/jobs/b").json["error"]["status"] == 409


def test_a_login_sees_nothing_of_others(house, bench: Bench) -> None:
    gate = Gate(Accounts({"ann": "a", "bob": "b"}))
    client = testing.TestClient(create_app(house.services(), gate=gate))
    ann, bob = ({"Authorization": f"Basic {each}"} for each in ("YW5uOmE=", "Ym9iOmI="))
    taken = client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers={**ASYNC, **ann})
    assert taken.status_code == 202
    assert client.simulate_get("/v1/jobs/a", headers=ann).status_code == 200
    for ask in (
        lambda: client.simulate_get("/v1/jobs/a", headers=bob),
        lambda: client.simulate_delete("/v1/jobs/a", headers=bob),
        lambda: client.simulate_get("/v1/jobs/a/events", headers=bob),
    ):
        assert ask().status_code == 404
    assert client.simulate_get("/v1/jobs", headers=bob).json == {"jobs": []}
    assert client.simulate_get("/v1/jobs").status_code == 401
    pending = client.simulate_get("/internal/pending-tasks", headers=bob).json
    assert pending == {"size": 0, "tasks": []}


# Events.


def events(text: str) -> list[dict[str, str]]:
    """As the standard has a browser read them; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        if lines:
            found.append({name: value for name, _, value in lines})
    return found


def test_events_tell_a_jobs_life(client: testing.TestClient, bench: Bench) -> None:
    client.simulate_post(TXT2IMG, json={"force_task_id": "a", "steps": 4}, headers=ASYNC)
    assert bench.at_work.wait(PATIENCE)

    def go_on() -> None:
        time.sleep(0.2)
        bench.job.observe(3, 4, lambda: bench.picture)
        time.sleep(0.2)
        bench.end.set()

    threading.Thread(target=go_on).start()
    result = client.simulate_get("/v1/jobs/a/events", params={"preview_every": 1})
    assert result.headers["Content-Type"].startswith("text/event-stream")
    assert result.headers["Cache-Control"] == "no-store"
    heard = events(result.text)
    steps = [json.loads(each["data"])["step"] for each in heard if each["event"] == "progress"]
    assert steps[0] == 2
    assert 3 in steps
    previews = [json.loads(each["data"]) for each in heard if each["event"] == "preview"]
    assert [each["step"] for each in previews] == [2, 3]
    assert all(each["image"].startswith("data:image/png;base64,iVBOR") for each in previews)
    assert (heard[-1]["event"], heard[-1]["id"]) == ("done", "end")
    assert json.loads(heard[-1]["data"])["result"] is None


@pytest.mark.parametrize("params", [{"preview_every": "0"}, {}])
def test_previews_are_made_as_often_as_asked(
    client: testing.TestClient, bench: Bench, house, params
) -> None:
    """Without the parameter the options say how often, or never (-1)."""
    house.update({"show_progress_every_n_steps": -1})
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers=ASYNC)
    assert bench.at_work.wait(PATIENCE)
    threading.Timer(0.3, bench.end.set).start()
    heard = events(client.simulate_get("/v1/jobs/a/events", params=params).text)
    assert {each["event"] for each in heard} == {"progress", "done"}


@pytest.mark.parametrize("word", ["-1", "x", "1.5"])
def test_previews_every_so_many_steps_is_a_number(client: testing.TestClient, word: str) -> None:
    result = client.simulate_get("/v1/jobs/a/events", params={"preview_every": word})
    assert result.status_code == 422
    assert result.json["detail"][0]["loc"] == ["query", "preview_every"]


def test_a_late_listener_hears_the_end_and_a_browser_that_heard_it_nothing(
    client: testing.TestClient, bench: Bench
) -> None:
    bench.end.set()
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"})
    (last,) = events(client.simulate_get("/v1/jobs/a/events").text)
    assert last["event"] == "done"
    again = client.simulate_get("/v1/jobs/a/events", headers={"Last-Event-ID": last["id"]})
    assert again.status_code == 204


def test_a_listener_that_leaves_frees_its_place(client: testing.TestClient, bench: Bench) -> None:
    client.simulate_post(TXT2IMG, json={"force_task_id": "a"}, headers=ASYNC)
    for _ in range(MAX_WATCHERS + 1):
        result = client.simulate_get(
            "/v1/jobs/a/events", extras={"waitress.client_disconnected": lambda: True}
        )
        assert result.status_code == 200
    leaves = iter([False, True])
    extras = {"waitress.client_disconnected": lambda: next(leaves, True)}
    heard = events(client.simulate_get("/v1/jobs/a/events", extras=extras).text)
    assert [each["event"] for each in heard] == ["progress", "preview"]


class Replaced(MemoryJobs):
    """Another job of the same id takes a job's place right after that was found."""

    def __init__(self) -> None:
        super().__init__()
        self.next: list[tuple[JobRecord, bytes]] = []

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        found = super().find(id, owner)
        if self.next:
            self.put(*self.next.pop())
        return found


def test_a_job_comes_with_what_is_kept_of_it_and_of_no_other(house) -> None:
    house.kept = store = Replaced()
    now = {"id": "a", "kind": "txt2img", "queued_at": time.time(), "finished_at": time.time()}
    store.put(JobRecord(state="done", kept="result", **now), BytesBody(b'{"images":[]}'))
    failure = BytesBody(b'{"status":500,"body":{}}')
    store.next.append((JobRecord(state="failed", kept="error", **now), failure))
    job = testing.TestClient(create_app(house.services())).simulate_get("/v1/jobs/a").json
    assert (job["state"], job["result"]) == ("failed", None)
    assert job["error"] == json.loads(failure)
