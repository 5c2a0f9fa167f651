"""OpenAPI operations: health and metrics."""

from hexfusion.adapters.http.documents.operation import Operation
from hexfusion.adapters.http.resources.health import LiveResponse
from hexfusion.application.system.health import Health

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        path="/health/live",
        id="live_health_live_get",
        tag="system",
        summary="See whether the process answers",
        returns=LiveResponse,
    ),
    Operation(
        path="/health/ready",
        id="ready_health_ready_get",
        tag="system",
        summary="See whether a job would be taken",
        returns=Health,
        unfit="No model can be used, or no place in the queue is free",
    ),
    Operation(
        path="/metrics",
        id="metrics_metrics_get",
        tag="system",
        summary="Figures for Prometheus: requests, queue, jobs, steps, pictures, memory",
        returns="text/plain",
    ),
)
