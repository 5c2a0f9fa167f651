"""Prometheus metrics. Every application has its own registry; there is no global state."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import falcon
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.inference import ModelHost, Resident

ReadMemory = Callable[[], Mapping[str, Mapping[str, object]]]

#: Histogram buckets in seconds: a listing takes milliseconds, a picture on a CPU minutes.
_REQUEST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_STEP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counts requests, as middleware, and jobs, as callbacks for `application.jobs.job.Meters`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "hexfusion_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "hexfusion_http_request_seconds",
            "How long requests took until their answer began.",
            ("method", "route"),
            buckets=_REQUEST,
            registry=self.registry,
        )
        self._steps = Histogram(
            "hexfusion_step_seconds",
            "How long sampling steps took, without the first of each sampling.",
            buckets=_STEP,
            registry=self.registry,
        )
        self._jobs = Counter(
            "hexfusion_jobs", "Jobs that are over.", ("kind", "state"), registry=self.registry
        )
        self._waits = Histogram(
            "hexfusion_job_wait_seconds",
            "How long jobs waited for their turn.",
            buckets=_JOB,
            registry=self.registry,
        )
        self._runs = Histogram(
            "hexfusion_job_seconds",
            "How long jobs took from their turn to their end.",
            ("kind",),
            buckets=_JOB,
            registry=self.registry,
        )
        self._pictures = Counter(
            "hexfusion_pictures", "Pictures made.", ("kind",), registry=self.registry
        )

    def watch(
        self, queue: JobQueue, memory: ReadMemory, resident: Callable[[], Sequence[Resident]] = list
    ) -> None:
        """Add gauges for the queue, memory, and checkpoints in memory (`resident`)."""
        self.registry.register(_Gauges(queue, memory, resident))

    def step(self, seconds: float) -> None:
        """Record a sampling step that took `seconds`."""
        self._steps.observe(seconds)

    def job(self, job: Job) -> None:
        """Record a finished job."""
        self._jobs.labels(job.kind, job.state.value).inc()
        self._pictures.labels(job.kind).inc(job.pictures_made)
        if job.started_at is not None:
            self._waits.observe(job.started_at - job.queued_at)
            self._runs.labels(job.kind).observe(job.elapsed)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context["metrics_started"] = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        # Label values must be few: unknown paths and methods are merged.
        method = req.method if req.method in _METHODS else "other"
        route = req.uri_template or "none"
        self._requests.labels(method, route, str(resp.status_code)).inc()
        if started := req.context.get("metrics_started"):
            self._seconds.labels(method, route).observe(time.perf_counter() - started)

    def scraped(self, accept: str) -> tuple[bytes, str]:
        """(all metrics in the format that the Accept header asks for, its media type)."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type


def watching(metrics: Metrics, queue: JobQueue, memory: ReadMemory, host: ModelHost) -> Metrics:
    """The metrics, with gauges for queue and memory added after the queue was created."""
    metrics.watch(queue, memory, host.resident)
    return metrics


class MetricsPage:
    """`GET /metrics`"""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data, resp.content_type = self._metrics.scraped(req.get_header("Accept") or "")


class _Gauges(Collector):
    """Gauges that are read when metrics are scraped: queue, and memory in bytes."""

    def __init__(
        self, queue: JobQueue, memory: ReadMemory, resident: Callable[[], Sequence[Resident]]
    ) -> None:
        self._queue = queue
        self._memory = memory
        self._resident = resident

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The metric families without values, so that registering reads nothing."""
        yield from self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting, running, ram, device, models = self._families()
        waiting.add_metric([], len(self._queue.waiting()))
        running.add_metric([], len(self._queue.running()))
        memory = self._memory()
        for use, value in memory["ram"].items():
            if isinstance(value, int | float):
                ram.add_metric([use], value)
        for kind, group in memory["cuda"].items():
            for use, value in group.items() if isinstance(group, Mapping) else ():
                if isinstance(value, int | float):
                    device.add_metric([kind, use], value)
        for each in self._resident():
            place = "device" if each.ready else "ram"
            models.add_metric([each.checkpoint.name, place], each.size)
        yield from (waiting, running, ram, device, models)

    def _families(self) -> tuple[GaugeMetricFamily, ...]:
        return (
            GaugeMetricFamily("hexfusion_jobs_waiting", "Jobs in the queue."),
            GaugeMetricFamily("hexfusion_jobs_running", "Jobs under way."),
            GaugeMetricFamily(
                "hexfusion_ram_bytes", "Memory: free, used by the process, total.", labels=["use"]
            ),
            GaugeMetricFamily(
                "hexfusion_device_memory",
                "The device's memory as /sdapi/v1/memory tells it: bytes, or events.",
                labels=["kind", "use"],
            ),
            GaugeMetricFamily(
                "hexfusion_checkpoint_bytes",
                "What checkpoints in memory take, and where: on the device, or waiting in RAM.",
                labels=["checkpoint", "place"],
            ),
        )
