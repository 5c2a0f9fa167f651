"""A1111's routes for progress, interrupt and skip. Source: spec api.md 11.2, 11.3.

A1111 has one job at a time. Here `id_task` may name a job (by response header `X-Task-Id`, or the
request's `force_task_id`); without it the job that has been running longest is used. With logins,
only the caller's own jobs count; administrators may name any.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Protocol, TypeVar

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.json_results import Unencodable, picture_text
from hexfusion.adapters.http.wire.request_response import (
    json_body,
    login,
    query_flag,
    query_text,
    sees_all,
    send_json,
)
from hexfusion.application.jobs.progress import ProgressReport, ProgressState
from hexfusion.domain.errors import NotFound

R = TypeVar("R")


class ReadProgress(Protocol):
    def __call__(self, id: str | None, *, picture: bool, owner: str | None) -> ProgressReport: ...


#: (id, owner): interrupts or skips a job, the running one if the id is None.
StopJob = Callable[[str | None, str | None], None]


class ProgressResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a job."""

    progress: Annotated[float, Meta(description="From 0 to 1; 0 when idle.")]
    eta_relative: Annotated[float, Meta(description="Estimated seconds remaining.")]
    state: ProgressState
    current_image: Annotated[str | None, Meta(description="The latest preview, base64.")] = None
    textinfo: Annotated[str | None, Meta(description="A note on the status.")] = None


class Progress:
    """`GET /sdapi/v1/progress`"""

    def __init__(
        self, progress: ReadProgress, read_options: Callable[[], Mapping[str, object]]
    ) -> None:
        self._progress = progress
        self._read_options = read_options

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        wanted = not query_flag(req, "skip_current_image")
        id = query_text(req, "id_task") or None
        report = whoever_asks(req, lambda owner: self._progress(id, picture=wanted, owner=owner))
        send_json(
            resp,
            ProgressResponse(
                progress=report.progress,
                eta_relative=report.eta_relative,
                state=report.state,
                current_image=self._preview(report) if wanted else None,
                textinfo=report.textinfo,
            ),
        )

    def _preview(self, report: ProgressReport) -> str | None:
        if report.picture is None:
            return None
        options = self._read_options()
        format, quality = str(options["samples_format"]), options["jpeg_quality"]
        try:
            return picture_text(report.picture, format, quality=int(float(str(quality))))
        except Unencodable:
            return None  # report the progress even so


class Interrupt:
    """`POST /sdapi/v1/interrupt`: decode the current batch as it is, and make no more."""

    def __init__(self, interrupt: StopJob) -> None:
        self._interrupt = interrupt

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        id = _named_job(req)
        whoever_asks(req, lambda owner: self._interrupt(id, owner))
        send_json(resp, {})


class Skip:
    """`POST /sdapi/v1/skip`: decode the current batch as it is, continue with the next."""

    def __init__(self, skip: StopJob) -> None:
        self._skip = skip

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        id = _named_job(req)
        whoever_asks(req, lambda owner: self._skip(id, owner))
        send_json(resp, None)


def whoever_asks(req: falcon.Request, act: Callable[[str | None], R]) -> R:
    """`act` with the caller's login; with that of all (None) if an administrator names a job that
    is not their own. Raises what `act` raises."""
    try:
        return act(login(req))
    except NotFound:
        if not sees_all(req):
            raise
        return act(None)


def _named_job(req: falcon.Request) -> str | None:
    """`id_task` of the query, else of the body. A1111 ignores the body, so any JSON will do."""
    body = json_body(req)
    inside = body.get("id_task") if isinstance(body, dict) else None
    return query_text(req, "id_task") or (inside if isinstance(inside, str) else None) or None
