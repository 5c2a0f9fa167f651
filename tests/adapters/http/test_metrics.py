"""`/metrics` and `/health/*`, which A1111 does not have."""

import gc
import time

import msgspec
import pytest
from falcon import testing
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from hexfusion.adapters.http.app import create_app
from hexfusion.adapters.http.metrics import Metrics
from hexfusion.application.jobs.job import Job, Meters
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.inference import Resident
from hexfusion.application.system.health import Health
from hexfusion.domain.checkpoints import Checkpoint

MEMORY = {
    "ram": {"free": 3.0, "used": 2, "total": 5.0},
    "cuda": {"system": {"free": 7, "used": 1}, "events": {"oom": 4}},
}


def figures(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    text, media_type = metrics.scraped("")
    assert media_type.startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status(client: testing.TestClient, house) -> None:
    client.simulate_get("/sdapi/v1/progress")
    client.simulate_get("/sdapi/v1/progress", params={"id_task": "nobody"})
    client.simulate_get("/v1/jobs/a")
    client.simulate_get("/v1/jobs/b")
    client.simulate_get("/no/such/route")
    client.simulate_post("/sdapi/v1/progress")
    client.simulate_post("/sdapi/v1/txt2img", json={"steps": "x"})
    found = figures(house.metrics)
    requests = {key[1:]: value for key, value in found.items() if key[0].endswith("requests_total")}
    assert requests == {
        ("GET", "/sdapi/v1/progress", "200"): 1,
        ("GET", "/sdapi/v1/progress", "404"): 1,
        ("GET", "/v1/jobs/{id}", "404"): 2,
        ("GET", "none", "404"): 1,
        ("POST", "/sdapi/v1/progress", "405"): 1,
        ("POST", "/sdapi/v1/txt2img", "422"): 1,
    }
    assert found["hexfusion_http_request_seconds_count", "GET", "/sdapi/v1/progress"] == 2


def test_what_nobody_knows_makes_no_new_label(house) -> None:
    app = create_app(house.services())
    for method in ("BREW", "A" * 50, "PROPFIND"):
        environment = testing.create_environ("/x") | {"REQUEST_METHOD": method}
        list(app(environment, testing.StartResponseMock()))
    labels = {key[1] for key in figures(house.metrics) if key[0].endswith("requests_total")}
    assert labels <= {"other"}


def test_jobs_steps_and_pictures_are_counted() -> None:
    metrics = Metrics()
    queue = JobQueue(time.time, meters=Meters(metrics.step, metrics.job))
    metrics.watch(queue, lambda: MEMORY)
    waiting = Job("txt2img", time.time)
    with queue.admit(Job("txt2img", time.time)) as job:
        job.begin_batch("", 0, 1, [4])
        for step in range(1, 5):
            job.observe(step, 4, lambda: None)
        job.show(["one", "two"])
        queue.enter(waiting)
        now = figures(metrics)
        assert (now["hexfusion_jobs_running",], now["hexfusion_jobs_waiting",]) == (1, 1)
        queue.cancel(waiting)
    after = figures(metrics)
    assert (after["hexfusion_jobs_running",], after["hexfusion_jobs_waiting",]) == (0, 0)
    assert after["hexfusion_jobs_total", "txt2img", "done"] == 1
    assert after["hexfusion_jobs_total", "txt2img", "cancelled"] == 1
    assert after["hexfusion_pictures_total", "txt2img"] == 2
    assert after["hexfusion_step_seconds_count",] == 3
    assert after["hexfusion_job_seconds_count", "txt2img"] == 1
    assert after["hexfusion_job_wait_seconds_count",] == 1


def test_memory_is_shown_as_it_is_now() -> None:
    metrics = Metrics()
    reading = dict(MEMORY)
    metrics.watch(JobQueue(time.time), lambda: reading)
    assert figures(metrics)["hexfusion_ram_bytes", "used"] == 2
    assert figures(metrics)["hexfusion_device_memory", "system", "free"] == 7
    reading["ram"], reading["cuda"] = {"used": 9}, {"error": "unavailable"}
    found = figures(metrics)
    assert found["hexfusion_ram_bytes", "used"] == 9
    assert not [key for key in found if key[0] == "hexfusion_device_memory"]


def test_checkpoints_in_memory_are_shown_with_what_they_take_and_where() -> None:
    metrics = Metrics()
    one, other = (Checkpoint(name=name, filename=name) for name in ("one", "other"))
    resident = [Resident(one, size=7), Resident(other, size=5, ready=False)]
    metrics.watch(JobQueue(time.time), lambda: MEMORY, lambda: resident)
    found = figures(metrics)
    assert found["hexfusion_checkpoint_bytes", "one", "device"] == 7
    assert found["hexfusion_checkpoint_bytes", "other", "ram"] == 5


def test_every_application_has_figures_of_its_own(house) -> None:
    first, second = Metrics(), Metrics()
    first.step(1.0)
    assert figures(first)["hexfusion_step_seconds_count",] == 1
    assert figures(second)["hexfusion_step_seconds_count",] == 0
    assert not [each for each in REGISTRY._names_to_collectors if "hexfusion" in each]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [(None, "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openm")],
)
def test_the_page_speaks_the_scrapers_language(
    client: testing.TestClient, accept: str | None, media_type: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    result = client.simulate_get("/metrics", headers=headers)
    assert result.headers["Content-Type"].startswith(media_type)
    assert "# HELP hexfusion_step_seconds " in result.text


def test_alive_and_ready(client: testing.TestClient) -> None:
    assert client.simulate_get("/health/live").json == {"live": True}
    ready = client.simulate_get("/health/ready")
    assert (ready.status_code, ready.json["ready"]) == (200, True)


def test_not_ready_says_why(house) -> None:
    house.health = Health(ready=False, model="loaded", queue="full")
    client = testing.TestClient(create_app(house.services()))
    result = client.simulate_get("/health/ready")
    assert result.status_code == 503
    assert result.json == msgspec.to_builtins(house.health)
