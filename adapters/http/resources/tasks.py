"""A1111's web UI routes: progress of a task, pending tasks. Source: spec api.md 11.4."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.json_results import Unencodable, picture_text
from hexfusion.adapters.http.wire.request_response import json_body, login, send_json
from hexfusion.application.jobs.task_progress import TaskReport


class ReadTaskProgress(Protocol):
    def __call__(
        self, id: str | None, *, seen: int, picture: bool, owner: str | None
    ) -> TaskReport: ...


class ProgressRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A task, and the preview of it that the client already has."""

    id_task: Annotated[str | None, Meta(description="The job's id.")] = None
    id_live_preview: Annotated[int, Meta(description="Number of the preview received last.")] = -1
    live_preview: Annotated[bool, Meta(description="Whether to send a preview.")] = True


class TaskProgressResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a task."""

    active: Annotated[bool, Meta(description="It runs.")]
    queued: Annotated[bool, Meta(description="It waits.")]
    completed: Annotated[bool, Meta(description="It is done, and still stored.")]
    progress: Annotated[float | None, Meta(description="From 0 to 1; null unless it runs.")]
    eta: Annotated[float | None, Meta(description="Estimated seconds remaining, null if unknown.")]
    live_preview: Annotated[str | None, Meta(description="A data URI, if there is a new one.")]
    id_live_preview: Annotated[int | None, Meta(description="The preview's number.")]
    textinfo: Annotated[str | None, Meta(description="A note on the status.")]


class PendingTasksResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks that wait."""

    size: Annotated[int, Meta(description="How many.")]
    tasks: Annotated[list[str], Meta(description="Their ids, next first.")]


class TaskProgress:
    """`POST /internal/progress`"""

    def __init__(
        self, read: ReadTaskProgress, read_options: Callable[[], Mapping[str, object]]
    ) -> None:
        self._read = read
        self._read_options = read_options

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        request = wire.as_struct(json_body(req), ProgressRequest)
        report = self._read(
            request.id_task,
            seen=request.id_live_preview,
            picture=request.live_preview,
            owner=login(req),
        )
        preview = self._preview(report)
        send_json(
            resp,
            TaskProgressResponse(
                active=report.active,
                queued=report.queued,
                completed=report.completed,
                progress=report.progress,
                eta=report.eta,
                live_preview=preview,
                id_live_preview=report.number,
                textinfo=report.textinfo,
            ),
        )

    def _preview(self, report: TaskReport) -> str | None:
        if report.picture is None:
            return None
        format = str(self._read_options()["live_previews_image_format"])
        try:
            return f"data:image/{format};base64,{picture_text(report.picture, format, quality=80)}"
        except Unencodable:
            return None


class PendingTasks:
    """`GET /internal/pending-tasks`"""

    def __init__(self, pending: Callable[[str | None], Sequence[str]]) -> None:
        self._pending = pending

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        ids = list(self._pending(login(req)))
        send_json(resp, PendingTasksResponse(size=len(ids), tasks=ids))
