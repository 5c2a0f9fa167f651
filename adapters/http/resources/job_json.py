"""A job as JSON."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from hexfusion.adapters.http.errors import JobFailure
from hexfusion.application.jobs.status import JobStatus


class JobResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A job: where it stands, and what came of it. Times are seconds since 1970."""

    id: Annotated[str, Meta(description="force_task_id, or an id made for it.")]
    kind: Annotated[str, Meta(description="What is being made: txt2img.")]
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled.")]
    position: Annotated[
        int | None, Meta(description="Place among the jobs that wait, from 1; else null.")
    ]
    progress: Annotated[float, Meta(description="From 0 to 1.")]
    eta: Annotated[
        float | None, Meta(description="Seconds to go; null as long as nothing can be told.")
    ]
    text: Annotated[str, Meta(description="What it is at: 'Batch 1 out of 2'.")]
    step: Annotated[int, Meta(description="Step of the present sampling that was finished last.")]
    steps: Annotated[int, Meta(description="Steps of the present sampling.")]
    queued_at: Annotated[float, Meta(description="When it was asked for.")]
    started_at: Annotated[float | None, Meta(description="When it began; null before.")]
    finished_at: Annotated[float | None, Meta(description="When it was over; null before.")]
    expires_at: Annotated[
        float | None,
        Meta(description="When it is forgotten, at the latest; null before."),
    ]
    result: Annotated[
        dict[str, Any] | None,
        Meta(description="What the route would have answered; null until there is something."),
    ] = None
    error: Annotated[JobFailure | None, Meta(description="Why it failed, else null.")] = None


class JobsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's jobs."""

    jobs: Annotated[
        list[JobResponse],
        Meta(description="Running, waiting, finished latest first; without results and errors."),
    ]


def job_response(status: JobStatus, kept: bytes | None = None) -> JobResponse:
    """`kept` is the JSON of the result or error that is kept of the job."""
    raw = None if kept is None else cast(Any, msgspec.Raw(kept))  # encoded once is enough
    progress = status.progress
    return JobResponse(
        id=status.id,
        kind=status.kind,
        state=status.state.value,
        position=status.position,
        progress=status.fraction,
        eta=status.eta,
        text=status.text,
        step=max(progress.step + 1, 0) if progress.steps else 0,
        steps=progress.steps,
        queued_at=status.queued_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        expires_at=status.expires_at,
        result=raw if status.kept == "result" else None,
        error=raw if status.kept == "error" else None,
    )
