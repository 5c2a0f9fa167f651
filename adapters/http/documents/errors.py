"""The error replies of the OpenAPI document. Source: spec api.md 2.1."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hexfusion.adapters.http.documents.operation import Json


class ValidationError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field."""

    loc: Annotated[list[str | int], Meta(description='Where: `["body", "steps"]`.')]
    msg: str
    type: Annotated[str, Meta(description="The kind of mistake, as pydantic v1 names it.")]
    ctx: Annotated[dict[str, Any], Meta(description="The bound that was broken, or such.")] = {}


class HTTPValidationError(msgspec.Struct, frozen=True):
    """Everything that is wrong with the request, in the order of its fields."""

    detail: list[ValidationError]


class PlainError(msgspec.Struct, frozen=True):
    """No such route, a wrong method, too large a body."""

    detail: str


class Failure(msgspec.Struct, frozen=True):
    """Anything else. `error` is `HTTPException` with the reason in `detail`, or the class of a
    failure with its text in `errors`."""

    error: str
    detail: str
    body: str
    errors: str


#: What an error's body may be.
ERROR_STRUCTS = (HTTPValidationError, PlainError, Failure)

_ERRORS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("No such sampler, or a body that is no text", ("Failure",)),
    401: ("Credentials are asked for; see the WWW-Authenticate header", ("Failure",)),
    403: ("Only administrators may do this, and the caller is none", ("Failure",)),
    404: ("No such job, or a route that is not switched on", ("Failure", "PlainError")),
    409: (
        "The job was cancelled before it began, or another one of that id is under way",
        ("Failure",),
    ),
    413: ("The body is too large", ("PlainError",)),
    422: ("The request does not fit", ("HTTPValidationError", "Failure")),
    429: (
        "Too many jobs wait, of all or of this user or address, or requests for a checkpoint"
        " to load, or too many requests came; see Retry-After",
        ("Failure",),
    ),
    500: ("The job failed, or no model can be used", ("Failure",)),
    501: ("Part of A1111's API that this server does not have yet", ("Failure",)),
    503: ("The server is stopping", ("Failure",)),
    507: ("There is not enough memory for this, or no space to store a job", ("Failure",)),
}

_ERROR_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"description": "What lets one in.", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}


def error(code: int) -> Json:
    """The response object of a status."""
    about, names = _ERRORS[code]
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    described: Json = {"description": about, "content": {"application/json": {"schema": schema}}}
    if code in _ERROR_HEADERS:
        described["headers"] = _ERROR_HEADERS[code]
    return described
