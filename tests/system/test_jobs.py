"""Issue 4, shows 6: 16 jobs from 4 clients, and nobody notices another.

The same over real networks: `python -m benchmarks.jobs`, and the slow test below.
"""

import http.client
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from falcon import testing

from benchmarks import harness
from benchmarks.harness import Client, order
from benchmarks.jobs import LOGINS, jobs, prove, wait_until
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference, read_file
from hexfusion.adapters.http.server import Server
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


def assembled(folder: Path, *given: str) -> Any:
    """A container over a data folder with one checkpoint; a step takes 50 ms."""
    models = folder / "models/Stable-diffusion"
    models.mkdir(parents=True, exist_ok=True)
    (models / "any.ckpt").write_bytes(b"")
    argv = ["--data-dir", str(folder), "--job-dir", str(folder / "jobs"), *given]
    flags = bootstrap.parse_flags(argv, {}, absolute=os.path.abspath)
    return bootstrap.assemble(flags, backend=FakeInference(0.05, read_file))


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

    after = testing.TestClient(bootstrap.build_app(assembled(tmp_path)))
    kept = {each["id"]: each for each in after.simulate_get("/v1/jobs").json["jobs"]}
    states = {id: job["state"] for id, job in kept.items()}
    cut = dict.fromkeys(("long", "also long", "waiting"), "cancelled")
    assert states == {"short": "done", **cut}
    for id in wanted:
        job = after.simulate_get(f"/v1/jobs/{quote(id)}").json
        if id == "waiting":
            assert job["error"]["status"] == 503
        else:
            assert len(job["result"]["images"]) == 1
    again = after.simulate_post("/sdapi/v1/txt2img", json=order(force_task_id="short", steps=40))
    assert again.headers["Idempotent-Replayed"] == "true"


def heard_to_the_end(port: int, heard: list[str]) -> None:
    """Listen to one job's events until the server ends them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/v1/jobs/long/events")
    answer = connection.getresponse()
    while line := answer.readline():
        heard.append(line.decode())
    connection.close()
