"""Issue 4, shows 6: 16 jobs from 4 clients, and nobody notices another.

The same over real networks: `python -m benchmarks.jobs`, and the slow test below.
"""

import http.client
import json
import os
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from falcon import testing
from PIL import Image

from benchmarks import harness
from benchmarks.harness import Client, order
from benchmarks.jobs import LOGINS, jobs, prove, wait_until
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.adapters.gpu.parts import FakeParts
from hexfusion.adapters.http.app import orders_by_route
from hexfusion.adapters.http.serving.server import Server
from hexfusion.application.pictures.picture_files import encode_picture
from hexfusion.application.ports.jobs import AcceptedJob, JobRequest
from tests.system.conftest import Serve


def test_each_client_sees_stops_and_gets_only_its_own(serve: Serve) -> None:
    seen = jobs(size=64, steps=8)
    with serve("--slots", "2", "--api-auth", LOGINS, seconds_per_step=0.02) as port:
        prove(port, seen)
    assert len(seen) == 16
    assert not [job for job in seen if not job.good]
    assert len({job.result[0][0] for job in seen if not job.to_be_cancelled}) == 14


@pytest.mark.slow
@pytest.mark.torch
def test_the_same_over_real_networks(tmp_path: Path) -> None:
    seen = jobs(size=64, steps=6)
    data = harness.data_directory(tmp_path / "data", harness.STARTER)
    flags = ("--slots", "2", "--threads", "1", "--api-auth", LOGINS)
    with harness.server(data, *flags) as running:
        prove(running.port, seen)
    assert not [job for job in seen if not job.good]


def assembled(folder: Path, *given: str, backend: Any = None) -> Any:
    """A container over a data folder with one checkpoint; a step takes 50 ms."""
    models = folder / "models/Stable-diffusion"
    models.mkdir(parents=True, exist_ok=True)
    (models / "any.ckpt").write_bytes(b"")
    argv = ["--data-dir", str(folder), "--job-dir", str(folder / "jobs"), *given]
    flags = bootstrap.parse_flags(argv, {}, absolute=os.path.abspath)
    return bootstrap.assemble(flags, backend=backend or FakeInference(0.05, read_file))


def test_a_stop_ends_what_it_can_returns_the_rest_and_keeps_both(tmp_path: Path) -> None:
    """`--job-dir`: what came of jobs that were left behind is there after a restart."""
    container = assembled(tmp_path, "--slots", "3")
    board = container.board()
    server = Server(bootstrap.build_app(container), host="127.0.0.1", port=0, threads=8)
    grace = 8.0
    stopping = {"on_stop": lambda: board.stop(grace), "busy": lambda: board.busy}
    thread = threading.Thread(target=lambda: server.run(grace=grace, **stopping))
    thread.start()
    client = Client(server.port)
    behind = {"Prefer": "respond-async"}
    wanted = {"short": 40, "long": 1000, "also long": 1000, "waiting": 4}
    for id, steps in wanted.items():
        sent = order(force_task_id=id, steps=steps)
        assert client.ask("POST", "/sdapi/v1/txt2img", sent, behind).status == 202
    wait_until(lambda: all(board.status(id).progress.step > 2 for id in ("short", "long")))
    watcher = threading.Thread(target=heard_to_the_end, args=(server.port, heard := []))
    watcher.start()
    wait_until(lambda: heard)
    started = time.monotonic()
    server.stop()
    thread.join(20)
    watcher.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - started < grace
    assert "event: cancelled" in "".join(heard)

    container.job_store().close()
    next_one = assembled(tmp_path)
    after = testing.TestClient(bootstrap.build_app(next_one))
    kept = {each["id"]: each for each in after.simulate_get("/v1/jobs").json["jobs"]}
    states = {id: job["state"] for id, job in kept.items()}
    cut = dict.fromkeys(("long", "also long"), "cancelled")
    assert states == {"short": "done", **cut, "waiting": "queued"}
    next_one.restart_jobs()()
    wait_until(lambda: not next_one.board().busy)
    for id in wanted:
        job = after.simulate_get(f"/v1/jobs/{quote(id)}").json
        assert len(job["result"]["images"]) == 1
        assert job["state"] == ("cancelled" if id in cut else "done")
    again = after.simulate_post("/sdapi/v1/txt2img", json=order(force_task_id="short", steps=40))
    assert again.headers["Idempotent-Replayed"] == "true"
    next_one.job_store().close()


PICTURE = b64encode(encode_picture(Image.new("RGB", (64, 64), "red"), "png")).decode()

REQUESTS: dict[str, dict[str, object]] = {
    "/sdapi/v1/txt2img": order(force_task_id="mine"),
    "/sdapi/v1/img2img": order(init_images=[PICTURE], mask=PICTURE),
    "/sdapi/v1/extra-single-image": {"image": PICTURE, "upscaling_resize": 2},
    "/sdapi/v1/extra-batch-images": {"imageList": [{"data": PICTURE, "name": "a"}]},
    "/sdapi/v1/interrogate": {"image": PICTURE, "model": "clip"},
}


def test_every_route_that_runs_jobs_takes_them_up_after_a_crash(tmp_path: Path) -> None:
    """With the reply that it would have given without one."""
    before = assembled(tmp_path, backend=FakeParts())
    client = testing.TestClient(bootstrap.build_app(before))
    wanted = {}
    for path, body in REQUESTS.items():
        alone = {name: value for name, value in body.items() if name != "force_task_id"}
        wanted[path] = client.simulate_post(path, json=alone).json
    store = before.job_store()
    for number, (path, body) in enumerate(REQUESTS.items()):
        found = orders_by_route(before.services())[path](
            JobRequest(path, json.dumps(body).encode(), "application/json")
        )
        job = AcceptedJob(
            id=f"job {number}", kind=found.kind, digest=found.digest, queued_at=time.time()
        )
        store.accept(job, JobRequest(path, json.dumps(body).encode(), "application/json"))
    store.close()
    after = assembled(tmp_path, backend=FakeParts())
    client = testing.TestClient(bootstrap.build_app(after))
    assert set(orders_by_route(after.services())) == set(REQUESTS)
    after.restart_jobs()()
    wait_until(lambda: not after.board().busy)
    for number, path in enumerate(REQUESTS):
        told = client.simulate_get(f"/v1/jobs/job%20{number}").json
        assert (told["state"], told["error"]) == ("done", None)
        for name in ("images", "image", "caption", "html_info"):
            assert told["result"].get(name) == wanted[path].get(name)
    after.job_store().close()


def test_a_checkpoint_that_is_gone_after_the_restart_is_told_as_the_route_would(
    tmp_path: Path,
) -> None:
    before = assembled(tmp_path)
    bootstrap.build_app(before)
    body = order(refiner_checkpoint="gone", refiner_switch_at=0.5)
    raw = json.dumps(body).encode()
    job = AcceptedJob(id="a", kind="txt2img", queued_at=time.time())
    before.job_store().accept(job, JobRequest("/sdapi/v1/txt2img", raw, None))
    before.job_store().close()
    after = assembled(tmp_path)
    client = testing.TestClient(bootstrap.build_app(after))
    after.restart_jobs()()
    wait_until(lambda: not after.board().busy)
    told = client.simulate_get("/v1/jobs/a").json
    asked = client.simulate_post("/sdapi/v1/txt2img", json=body)
    assert told["state"] == "failed"
    assert told["error"] == {"status": asked.status_code, "body": asked.json}
    after.job_store().close()


def heard_to_the_end(port: int, heard: list[str]) -> None:
    """Listen to one job's events until the server ends them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/v1/jobs/long/events")
    answer = connection.getresponse()
    while line := answer.readline():
        heard.append(line.decode())
    connection.close()
