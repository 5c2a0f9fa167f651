"""A line of the OpenAPI document: one method of one path."""

from typing import Any

import msgspec

Json = dict[str, Any]


class Parameter(msgspec.Struct, frozen=True):
    """A member of the query string or of the path, or a header."""

    name: str
    about: str
    type: str = "string"
    default: object = None
    where: str = "query"
    least: int | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `returns` is a type, a media type, or a component's name.

    `accepted` says what it means if the answer is 202, and a job; `nothing` what, if it is 204;
    `unfit` what, if it is 503 and otherwise as usual.
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


#: What every route that makes pictures in a job takes and answers beside its own.
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
