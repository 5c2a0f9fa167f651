"""Routes for jobs by id: status and result, cancel, events. Not part of A1111's API.

With logins, callers see only their own jobs; administrators those of all.
"""

from collections.abc import Callable, Mapping

import falcon

from hexfusion.adapters.http.access.roles import AdminsOnly
from hexfusion.adapters.http.resources.job_json import JobsResponse, job_around, job_response
from hexfusion.adapters.http.resources.server_sent_events import HEARTBEAT, EventStream
from hexfusion.adapters.http.wire.request_response import (
    login,
    party,
    query_count,
    query_flag,
    query_text,
    sees_all,
    send_body,
    send_json,
)
from hexfusion.application.jobs.board import JobBoard


class Jobs:
    """`GET /v1/jobs`"""

    def __init__(self, board: JobBoard) -> None:
        self._board = board

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        of_all = query_flag(req, "all")
        if of_all and login(req) is not None and not sees_all(req):
            raise AdminsOnly(login(req), "listing the jobs of all")
        statuses = self._board.statuses(login(req), of_all=of_all)
        send_json(resp, JobsResponse(jobs=[job_response(each) for each in statuses]))


def owner_of(req: falcon.Request, board: JobBoard, id: str) -> str | None:
    """The owner of the job that the caller means: the caller. Administrators may mean another's:
    that of the `owner` in the query, else whoever has a job of that id, if they have none.

    Raises `NotFound`, `AdminsOnly`.
    """
    caller, named = login(req), query_text(req, "owner")
    if not sees_all(req):
        if named not in (None, caller):
            raise AdminsOnly(caller, "naming the owner of a job")
        return caller
    return board.whose(id, caller) if named is None else named


class OneJob:
    """`GET` and `DELETE /v1/jobs/{id}`"""

    def __init__(self, board: JobBoard) -> None:
        self._board = board

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        status, kept = self._board.found(id, owner_of(req, self._board, id))
        if kept is None:
            send_json(resp, job_response(status))
        else:
            send_body(resp, kept, *job_around(status))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """Cancel or delete the job; 202 if it still runs, and stops at its next step."""
        status = self._board.cancel(id, owner_of(req, self._board, id))
        send_json(resp, job_response(status))
        resp.status = falcon.HTTP_200 if status.over else falcon.HTTP_202


class Events:
    """`GET /v1/jobs/{id}/events`: server-sent events, from now until the job is over."""

    def __init__(
        self,
        board: JobBoard,
        read_options: Callable[[], Mapping[str, object]],
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._board = board
        self._read_options = read_options
        self._heartbeat = heartbeat

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        options = self._read_options()
        every = query_count(req, "preview_every")
        if every is None:
            every = max(int(float(str(options["show_progress_every_n_steps"]))), 0)
        if not options["live_previews_enable"]:
            every = 0
        watch = self._board.watch(id, owner_of(req, self._board, id), party(req))
        if req.get_header("Last-Event-ID") == EventStream.LAST:
            watch.close()
            resp.status = (
                falcon.HTTP_204
            )  # it has received the last event: 204 stops browsers from reconnecting
            return
        resp.content_type = "text/event-stream"
        resp.set_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        gone = req.env.get("waitress.client_disconnected", lambda: False)
        format = str(options["live_previews_image_format"])
        stream = EventStream(watch, gone, format, every, self._heartbeat)
        if req.env["REQUEST_METHOD"] == "HEAD":  # the stream would not be read or closed
            stream.close()
        else:
            resp.stream = stream
