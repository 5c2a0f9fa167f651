"""An operation of the OpenAPI document: one method of one path."""

from typing import Any

import msgspec

Json = dict[str, Any]


class Parameter(msgspec.Struct, frozen=True):
    """A parameter in the query or path, or a header; `least` is its minimum."""

    name: str
    about: str
    type: str = "string"
    default: object = None
    where: str = "query"
    least: int | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `returns` is a type, a media type, or a component's name.

    `accepted` describes a reply with status 202 and a job, `nothing` a reply with status 204,
    `unfit` a reply with status 503 and the usual body; each is empty if there is no such reply.
    `admin`: only administrators may, where `--api-admin` names any; the gate sees to it.
    """

    path: str
    method: str = "get"
    id: str
    tag: str
    summary: str
    body: type | str | None = None
    body_required: bool = True
    example: Json = {}
    parameters: tuple[Parameter, ...] = ()
    returns: Any = None
    headers: tuple[Parameter, ...] = ()
    accepted: str = ""
    nothing: str = ""
    unfit: str = ""
    errors: tuple[int, ...] = ()
    admin: bool = False


#: Parameters and reply headers of every route that runs a job.
JOB_PARAMETERS = (
    Parameter(
        "X-Keep-Job",
        "True: the job goes on when its client disconnects.",
        "boolean",
        False,
        "header",
    ),
    Parameter(
        "Prefer",
        "respond-async: answer 202 at once, with the job, and make the pictures meanwhile.",
        where="header",
    ),
)
JOB_HEADERS = (
    Parameter("X-Task-Id", "The job's id."),
    Parameter(
        "Idempotent-Replayed",
        "True: this was made for an equal request with the same force_task_id.",
        "boolean",
    ),
)
JOB_ACCEPTED = "The job is taken; come back for it"
