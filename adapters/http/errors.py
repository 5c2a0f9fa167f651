"""Maps exceptions to HTTP error replies. Source: spec api.md 2.1.

A1111 has three shapes of error body: the framework's `{"detail": ...}`, that of deliberate HTTP
errors, and that of crashes, which contains the exception's class name. Clients distinguish them, so
every error has the shape that A1111 uses in the same place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Any

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.access.accounts import Denied
from hexfusion.adapters.http.access.body_memory import TooMuchWaiting
from hexfusion.adapters.http.access.cors import ForeignPage
from hexfusion.adapters.http.access.hosts import BadHost, UnknownHost
from hexfusion.adapters.http.access.rate_limit import TooManyRequests
from hexfusion.adapters.http.access.refusal_log import note
from hexfusion.adapters.http.access.roles import AdminsOnly
from hexfusion.adapters.http.wire.json_results import Unencodable, to_json
from hexfusion.adapters.http.wire.lenient_json import Problem, Refused, TooManyValues, Unreadable
from hexfusion.adapters.http.wire.request_response import Absent
from hexfusion.application.ports.download import LocalResource, TooManyDownloads
from hexfusion.application.ports.jobs import JobStoreError, ResultDamaged
from hexfusion.application.ports.spool import SpoolError
from hexfusion.application.system.fetching import RequestsNotAllowed
from hexfusion.domain.errors import (
    HexfusionError,
    InvalidRequest,
    JobCancelled,
    JobConflict,
    NotAlwaysOn,
    NotFound,
    OptionError,
    OutOfMemory,
    QueueFull,
    ServerRestarted,
    ServerStopping,
    TooManyWaiting,
    Unsupported,
)
from hexfusion.domain.options import FrozenOption, UnknownOption


class TooLarge(Exception):
    """The body is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is too large: at most {limit} bytes are taken")


@dataclass(frozen=True)
class ErrorReply:
    """An error reply: status, JSON body, extra headers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def framework(status: int, detail: str | Sequence[Problem]) -> ErrorReply:
    """Shape (a): unknown route, wrong method, validation."""
    return ErrorReply(status, {"detail": detail})


def deliberate(status: int, detail: str, headers: Mapping[str, str] | None = None) -> ErrorReply:
    """Shape (b): an error that a handler raised on purpose."""
    body = {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}
    return ErrorReply(status, body, headers or {})


def crash(error: str, text: str) -> ErrorReply:
    """Shape (c): an unexpected exception, by class name and text."""
    return ErrorReply(500, {"error": error, "detail": "", "body": "", "errors": text})


def _no_memory(error: Exception) -> ErrorReply:
    """A crash with A1111's class name (spec api.md 2.1), but with status 507."""
    text = str(error) or "the server has not enough memory for this"
    return replace(crash("OutOfMemoryError", text), status=507)


def _invalid(name: str, message: str) -> ErrorReply:
    return framework(422, [Problem(("body", name), message, "value_error")])


def _not_found(error: NotFound) -> ErrorReply:
    match error.kind:
        case "sampler":  # as in versions before 1.10; 1.10.1 uses another sampler instead
            return deliberate(400, "Sampler not found")
        case "script":
            return deliberate(422, f"Script '{error.name}' not found")
        case "checkpoint":
            return crash("RuntimeError", f"model {error.name!r} not found")
        case "model":  # of interrogation; A1111's text
            return deliberate(404, "Model not found")
        case kind:
            return deliberate(404, f"{kind.capitalize()} '{error.name}' not found")


def _http(error: falcon.HTTPError) -> ErrorReply:
    """Falcon's own errors: unknown route, wrong method, malformed header."""
    headers = dict(error.headers or {})
    if "Allow" in headers:  # Falcon would answer OPTIONS everywhere; A1111 does not
        allowed = headers["Allow"].split(", ")
        headers["Allow"] = ", ".join(method for method in allowed if method != "OPTIONS")
    return ErrorReply(error.status_code, {"detail": HTTPStatus(error.status_code).phrase}, headers)


def _denied(error: Denied) -> ErrorReply:
    """A 401 with WWW-Authenticate, which A1111 omits."""
    return deliberate(401, str(error), {"WWW-Authenticate": error.challenge})


def _wait(
    error: TooManyRequests | TooManyDownloads | QueueFull | TooManyWaiting | TooMuchWaiting,
) -> ErrorReply:
    return deliberate(429, str(error), {"Retry-After": str(error.retry_after)})


def _unknown_option(error: UnknownOption) -> ErrorReply:
    """A crash with A1111's class name and text, but with status 422: the request is at fault."""
    reply = crash("KeyError", repr(error.key))
    return replace(reply, status=422, body={**reply.body, "detail": str(error)})


ANSWERS: dict[type[Exception], Callable[[Any], ErrorReply]] = {
    # Access control and rate limit.
    Denied: _denied,
    BadHost: lambda error: deliberate(400, str(error)),
    UnknownHost: lambda error: deliberate(421, str(error)),
    ForeignPage: lambda error: deliberate(403, str(error)),
    AdminsOnly: lambda error: deliberate(403, str(error)),
    TooManyRequests: _wait,
    TooMuchWaiting: _wait,
    # Requests that cannot be read, downloads.
    Refused: lambda error: framework(422, error.problems),
    Unreadable: lambda error: deliberate(400, str(error)),
    TooLarge: lambda error: framework(413, str(error)),
    TooManyValues: lambda error: framework(413, str(error)),
    RequestsNotAllowed: lambda error: deliberate(500, str(error)),
    LocalResource: lambda error: deliberate(500, str(error)),
    TooManyDownloads: _wait,
    falcon.HTTPError: _http,
    # Invalid requests.
    NotAlwaysOn: lambda error: deliberate(422, error.message),
    InvalidRequest: lambda error: _invalid(error.field, error.message),
    NotFound: _not_found,
    Absent: lambda error: deliberate(404, str(error)),
    UnknownOption: _unknown_option,
    FrozenOption: lambda error: crash("AssertionError", error.message),
    OptionError: lambda error: _invalid(error.key, error.message),
    Unsupported: lambda error: deliberate(501, str(error)),
    # Jobs.
    QueueFull: _wait,
    TooManyWaiting: _wait,
    # Interrupted while it waited: there is no picture and no info to answer 200 with.
    JobCancelled: lambda error: deliberate(409, str(error)),
    JobConflict: lambda error: deliberate(409, str(error)),
    ServerStopping: lambda error: deliberate(503, str(error), {"Retry-After": "10"}),
    ServerRestarted: lambda error: deliberate(503, str(error)),
    JobStoreError: lambda error: deliberate(507, str(error)),
    ResultDamaged: lambda error: deliberate(500, str(error)),
    Unencodable: lambda error: deliberate(500, str(error)),
    OutOfMemory: _no_memory,
    MemoryError: _no_memory,
    SpoolError: lambda error: deliberate(507, str(error)),
    # Checkpoints that do not load, NaN, and unexpected errors.
    Exception: lambda error: crash(type(error).__name__, str(error)),
}


def error_reply(error: Exception) -> ErrorReply:
    """The reply for an error, by the most specific of its types in `ANSWERS`."""
    return next(ANSWERS[type_](error) for type_ in type(error).__mro__ if type_ in ANSWERS)


#: Errors that tell all by themselves, whatever their status: their traceback is not logged.
_EXPECTED = (
    HexfusionError,
    RequestsNotAllowed,
    LocalResource,
    Unencodable,
    MemoryError,
    falcon.HTTPError,
)


class JobFailure(msgspec.Struct, frozen=True):
    """Why a job failed."""

    status: Annotated[int, Meta(description="What the request would have been answered with.")]
    body: Annotated[dict[str, Any], Meta(description="The error body, in A1111's shapes.")]


def reason(error: Exception, answer: ErrorReply) -> str:
    """Why a request got this answer, in the words of the error, for the operator."""
    if isinstance(error, falcon.HTTPError):
        return str(answer.body.get("detail", ""))
    return f"{type(error).__name__}: {error}"


def explain(error: Exception) -> bytes:
    """The reply to a job's error as JSON, to be stored for clients that ask for the job later."""
    answer = error_reply(error)
    return to_json(JobFailure(answer.status, dict(answer.body)))


def handle(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    """Falcon error handler for all exceptions; notes the reason for the logs."""
    answer = error_reply(error)
    traced = answer.status >= 500 and not isinstance(error, _EXPECTED)
    note(req, reason(error, answer), error if traced else None)
    resp.status = answer.status
    resp.data = to_json(answer.body)
    resp.content_type = falcon.MEDIA_JSON
    resp.set_headers(dict(answer.headers))
