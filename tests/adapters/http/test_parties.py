"""Who shares with others is told to all that have places: the login, else the address."""

import threading
import time
from base64 import b64encode
from dataclasses import replace

import pytest
from falcon import testing

from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import create_app
from hexfusion.application.jobs.allotment import Allotment
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job
from hexfusion.domain.errors import InvalidRequest
from tests.application.boards import PATIENCE, wait_for

LOGIN = {"Authorization": "Basic " + b64encode(b"ann:secret").decode()}
HERE, THERE = "10.0.0.9", "2001:db8:1:2:3::4"
PARTIES = ["address 10.0.0.9", "address 2001:db8:1:2::/64", "user ann"]


def everybody(services) -> list[tuple[testing.TestClient, dict]]:
    """Two addresses at a server without accounts, and a login at one that has them."""
    free = testing.TestClient(create_app(services))
    asking = testing.TestClient(create_app(services, gate=Gate(Accounts({"ann": "secret"}))))
    return [
        (free, {"remote_addr": HERE}),
        (free, {"remote_addr": THERE}),
        (asking, {"remote_addr": HERE, "headers": LOGIN}),
    ]


@pytest.mark.parametrize("left", [False, True], ids=["waited for", "left behind"])
def test_of_a_job(house, left: bool) -> None:
    jobs: list[Job] = []
    inner = house.txt2img

    def txt2img(request, *, job, **more):
        jobs.append(job)
        return inner(request, job=job, **more)

    house.txt2img = txt2img
    for number, (client, who) in enumerate(everybody(house.services()), 1):
        headers = {**who.get("headers", {}), **({"Prefer": "respond-async"} if left else {})}
        asked = {**who, "headers": headers}
        assert client.simulate_post("/sdapi/v1/txt2img", json={}, **asked).status_code < 300
        wait_for(lambda number=number: len(jobs) == number)
    assert [(job.owner, job.party) for job in jobs] == list(
        zip((None, None, "ann"), PARTIES, strict=True)
    )


def test_of_a_watcher(house) -> None:
    end = threading.Event()
    house.on_txt2img = lambda request, abandoned: end.wait(PATIENCE)
    board = JobBoard(house.queue, house.kept, time.time, watchers=Allotment(4, 1))
    (client, here), (_, there), _ = everybody(replace(house.services(), board=board))
    left = {"Prefer": "respond-async"}
    client.simulate_post("/sdapi/v1/txt2img", json={"force_task_id": "a"}, headers=left)
    held = board.watch("a", None, PARTIES[0])
    refused = client.simulate_get("/v1/jobs/a/events", **here)
    assert refused.status_code == 429
    assert "address 10.0.0.9 has 1 watchers" in refused.json["detail"]
    assert client.simulate_head("/v1/jobs/a/events", **there).status_code == 200
    held.close()
    end.set()
    wait_for(lambda: not board.busy)


@pytest.mark.parametrize(
    ("part", "path", "body"),
    [
        ("change_options", "options", {"jpeg_quality": 5}),
        ("unload_checkpoint", "unload-checkpoint", None),
        ("reload_checkpoint", "reload-checkpoint", None),
        ("refresh_checkpoints", "refresh-checkpoints", None),
        ("refresh_vaes", "refresh-vae", None),
        ("refresh_loras", "refresh-loras", None),
        ("refresh_embeddings", "refresh-embeddings", None),
    ],
)
def test_of_who_may_wait_outside_the_queue(house, part: str, path: str, body) -> None:
    asked: list[str | None] = []
    services = replace(house.services(), **{part: lambda *given: asked.append(given[-1])})
    for client, who in everybody(services):
        assert client.simulate_post(f"/sdapi/v1/{path}", json=body, **who).status_code == 200
    assert asked == PARTIES


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sdapi/v1/img2img", {"init_images": ["https://a.test/x.png"]}),
        ("/sdapi/v1/png-info", {"image": "https://a.test/x.png"}),
        ("/sdapi/v1/extra-single-image", {"image": "https://a.test/x.png"}),
        (
            "/sdapi/v1/extra-batch-images",
            {"imageList": [{"data": "https://a.test/x.png", "name": "x"}]},
        ),
        ("/sdapi/v1/interrogate", {"image": "https://a.test/x.png", "model": "clip"}),
    ],
)
def test_downloads_are_the_callers_partys(house, path: str, body: dict) -> None:
    asked: list[str | None] = []

    def fetch(url: str, field: str, party: str | None = None) -> bytes:
        asked.append(party)
        raise InvalidRequest(field, "no")

    entry = Gate(Accounts({"ann": "secret"}))
    services = replace(house.services(), fetch=fetch)
    client = testing.TestClient(create_app(services, gate=entry))
    assert client.simulate_post(path, json=body, headers=LOGIN).status_code == 422
    assert asked == ["user ann"]
