"""Replies of routes that run jobs: the result, or at once the job's status (RFC 7240).

With `Prefer: respond-async` the job runs in a thread of the server, and its status is sent at once.
A job with an id of the client's choice (`force_task_id`) runs once, for either kind of request.
"""

import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import falcon

from hexfusion.adapters.http.access.body_memory import counting, hand_over
from hexfusion.adapters.http.resources.job_json import job_response
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.request_response import (
    abandoned,
    for_party,
    json_of,
    login,
    party,
    send_body,
    send_json,
)
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.orders import Order
from hexfusion.application.pictures.base64_pictures import Fetch, FetchFor
from hexfusion.application.ports.jobs import JobRequest
from hexfusion.domain.errors import InvalidRequest

_ASYNC = "respond-async"


class JobRoute:
    """A route that runs a job: `POST` with the request as JSON.

    What makes an order of a request is apart from what is done with it, so that it can be asked
    again after a restart (`orders_by_route`).
    """

    def __init__(self, board: JobBoard) -> None:
        self._board = board

    def order(self, body: object, req: falcon.Request | None) -> Order[Any]:
        """The order of a request, given as JSON value. Raises what is wrong with the request.

        `req` is the request that brought it, None if that was stored by an earlier server: then
        there is room for it, and its memory is nobody's.
        """
        raise NotImplementedError

    def check_room(self, id: str | None, req: falcon.Request | None) -> None:
        """Raises `QueueFull`, `ServerStopping` if a new job would be refused now."""
        if req is not None:
            self._board.check_room(id, login(req), party(req))

    def again(self, request: JobRequest) -> Order[Any]:
        """The order of a request that was stored."""
        return self.order(wire.read_json(request.body, request.media_type), None)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer 200 with the result, or start the job and answer 202 with its status."""
        if _ASYNC in _preferences(req):
            _submit(req, resp, self._board, *self._received(req))
            return
        order = self._received(req)[0]  # the body must not stay in memory while the job waits
        outcome = self._board.perform(
            order, owner=login(req), party=party(req), abandoned=abandoned(req)
        )
        send_body(resp, outcome.body)
        resp.set_header("X-Task-Id", header_safe(outcome.id))
        if outcome.replayed:
            resp.set_header("Idempotent-Replayed", "true")

    def _received(self, req: falcon.Request) -> tuple[Order[Any], JobRequest]:
        """The order of a request, and the request as it came."""
        body = req.bounded_stream.read()
        order = self.order(json_of(body, req), req)
        req.context["task"] = order.id  # for the logs, if it fails
        return order, JobRequest(req.uri_template or req.path, body, req.content_type)


def fetching(fetch: FetchFor, req: falcon.Request | None) -> Fetch:
    """`fetch` for the party of the request; counts what it fetches as memory of the request."""
    if req is None:
        return lambda url, field: fetch(url, field, None)
    return counting(for_party(req, fetch), req)


def _submit(
    req: falcon.Request,
    resp: falcon.Response,
    board: JobBoard,
    order: Order[Any],
    request: JobRequest,
) -> None:
    if order.id and ("/" in order.id or order.id in (".", "..") or not order.id.isprintable()):
        raise InvalidRequest("force_task_id", "must be printable and without '/' to be in a path")
    # Longer than A1111's ids, and unguessable: the id gives access to the pictures.
    new_id = f"{order.kind}-{secrets.token_urlsafe(16)}"
    order = replace(order, holds=hand_over(req))
    status = board.submit(order, owner=login(req), party=party(req), new_id=new_id, request=request)
    send_json(resp, job_response(status))
    resp.status = falcon.HTTP_202
    resp.set_header("Location", f"{req.root_path}/v1/jobs/{quote(status.id, safe='()')}")
    resp.set_header("Preference-Applied", _ASYNC)
    resp.set_header("X-Task-Id", header_safe(status.id))


def _preferences(req: falcon.Request) -> set[str]:
    """The names in the `Prefer` header, without their values."""
    header = (req.get_header("Prefer") or "").lower()
    return {each.partition(";")[0].partition("=")[0].strip() for each in header.split(",")}


def header_safe(id: str) -> str:
    """The id for use in a header: percent-encoded if it has non-ASCII or control characters."""
    return id if id.isascii() and id.isprintable() else quote(id)
