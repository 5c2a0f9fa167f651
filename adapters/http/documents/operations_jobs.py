"""OpenAPI operations: jobs by id, and the task routes of A1111's web UI."""

from hexfusion.adapters.http.documents.operation import Operation, Parameter
from hexfusion.adapters.http.resources.job_json import JobResponse, JobsResponse
from hexfusion.adapters.http.resources.tasks import (
    PendingTasksResponse,
    ProgressRequest,
    TaskProgressResponse,
)

_ID = Parameter("id", "The job's id.", where="path")
_OWNER = Parameter("owner", "For administrators: whose job, if several have one of that id.")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        path="/v1/jobs",
        id="list_jobs_v1_jobs_get",
        tag="jobs",
        summary="List your jobs: running, waiting, finished",
        parameters=(Parameter("all", "For administrators: the jobs of all.", "boolean", False),),
        returns=JobsResponse,
        errors=(403, 422, 500),
    ),
    Operation(
        path="/v1/jobs/{id}",
        id="get_job_v1_jobs_id_get",
        tag="jobs",
        summary="See where a job stands, and get what came of it",
        parameters=(_ID, _OWNER),
        returns=JobResponse,
        errors=(403, 404, 500, 507),
    ),
    Operation(
        path="/v1/jobs/{id}",
        method="delete",
        id="cancel_job_v1_jobs_id_delete",
        tag="jobs",
        summary="Cancel a job that waits or runs, forget one that is over",
        parameters=(_ID, _OWNER),
        returns=JobResponse,
        accepted="It runs, and stops at its next step",
        errors=(403, 404, 500, 507),
    ),
    Operation(
        path="/v1/jobs/{id}/events",
        id="watch_job_v1_jobs_id_events_get",
        tag="jobs",
        summary="Watch a job: server-sent events `progress` and `preview`, at last `done`, `failed`"
        " or `cancelled`. The data of a preview is {step, image}, of the others the job",
        parameters=(
            _ID,
            _OWNER,
            Parameter(
                "preview_every",
                "A new preview at most every so many steps; 0: none. Without it the option"
                " show_progress_every_n_steps says.",
                "integer",
                least=0,
            ),
            Parameter("Last-Event-ID", "The id of the event heard last.", where="header"),
        ),
        returns="text/event-stream",
        nothing="The client has heard the last event already",
        errors=(403, 404, 422, 500),
    ),
    Operation(
        path="/internal/progress",
        method="post",
        id="progressapi_internal_progress_post",
        tag="jobs",
        summary="See how far a task is, as A1111's web UI asks",
        body=ProgressRequest,
        example={"id_task": "task(txt2img-ABCDEFG)", "id_live_preview": -1},
        returns=TaskProgressResponse,
        errors=(400, 413, 422, 500),
    ),
    Operation(
        path="/internal/pending-tasks",
        id="get_pending_tasks_internal_pending_tasks_get",
        tag="jobs",
        summary="List the tasks that wait",
        returns=PendingTasksResponse,
        errors=(500,),
    ),
)
