"""The JSON representation of a job."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from hexfusion.adapters.http.errors import JobFailure
from hexfusion.adapters.http.wire.json_results import to_json
from hexfusion.application.jobs.status import JobStatus


class JobResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A job: its status, and its result or error. Times are in seconds since 1970."""

    id: Annotated[str, Meta(description="force_task_id, or a generated id.")]
    kind: Annotated[str, Meta(description="The kind of job, such as txt2img.")]
    owner: Annotated[
        str | None, Meta(description="The login of who asked for it; null where nobody logs in.")
    ]
    state: Annotated[str, Meta(description="queued, running, done, failed or cancelled.")]
    position: Annotated[
        int | None,
        Meta(
            description="Place among the jobs that wait, from 1, in the order in which they should"
            " run: users take turns, by how long their jobs run. It may rise when others come;"
            " jobs for checkpoints in memory may overtake. Null once it runs."
        ),
    ]
    progress: Annotated[float, Meta(description="From 0 to 1.")]
    eta: Annotated[float | None, Meta(description="Estimated seconds remaining; null if unknown.")]
    text: Annotated[str, Meta(description="The current batch, such as 'Batch 1 out of 2'.")]
    step: Annotated[int, Meta(description="Last finished step of the current sampling run.")]
    steps: Annotated[int, Meta(description="Steps of the current sampling run.")]
    queued_at: Annotated[float, Meta(description="Time of the request.")]
    started_at: Annotated[float | None, Meta(description="Time of its start; null before.")]
    finished_at: Annotated[float | None, Meta(description="Time of its end; null before.")]
    expires_at: Annotated[
        float | None,
        Meta(description="Latest time of its deletion; null until it has ended."),
    ]
    result: Annotated[
        dict[str, Any] | None,
        Meta(description="The reply that the route would have sent; null until there is one."),
    ] = None
    error: Annotated[
        JobFailure | None, Meta(description="The error of a failed job, else null.")
    ] = None


class JobsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's jobs."""

    jobs: Annotated[
        list[JobResponse],
        Meta(description="Running, waiting, finished latest first; without results and errors."),
    ]


#: Stands for what is stored: no JSON has a null character.
_PLACE = b"\0"


def job_around(status: JobStatus) -> tuple[bytes, bytes]:
    """The JSON of a job whose result or error is stored: what comes before that, and behind it."""
    place = cast(Any, msgspec.Raw(_PLACE))
    result, error = status.kept == "result", status.kept == "error"
    job = msgspec.structs.replace(
        job_response(status), result=place if result else None, error=place if error else None
    )
    before, _, after = to_json(job).partition(_PLACE)
    return before, after


def job_response(status: JobStatus) -> JobResponse:
    """A job's status as a struct, without its result or error."""
    progress = status.progress
    return JobResponse(
        id=status.id,
        kind=status.kind,
        owner=status.owner,
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
    )
