"""Replies of routes that run jobs: the result, or at once the job's status (RFC 7240).

With `Prefer: respond-async` the job runs in a thread of the server, and its status is sent at once.
A job with an id of the client's choice (`force_task_id`) runs once, for either kind of request.
"""

import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import falcon

from hexfusion.adapters.http.access.body_memory import hand_over
from hexfusion.adapters.http.resources.job_json import job_response
from hexfusion.adapters.http.wire.request_response import abandoned, login, party, send_json
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.orders import Order
from hexfusion.domain.errors import InvalidRequest

_ASYNC = "respond-async"


def deliver(req: falcon.Request, resp: falcon.Response, board: JobBoard, order: Order[Any]) -> None:
    """Run the order and answer 200 with its result, or start it and answer 202 with its status."""
    req.context["task"] = order.id  # for the logs, if it fails
    if _ASYNC in _preferences(req):
        _submit(req, resp, board, order)
        return
    outcome = board.perform(order, owner=login(req), party=party(req), abandoned=abandoned(req))
    resp.data = outcome.body
    resp.content_type = falcon.MEDIA_JSON
    resp.set_header("X-Task-Id", header_safe(outcome.id))
    if outcome.replayed:
        resp.set_header("Idempotent-Replayed", "true")


def _submit(req: falcon.Request, resp: falcon.Response, board: JobBoard, order: Order[Any]) -> None:
    if order.id and ("/" in order.id or order.id in (".", "..") or not order.id.isprintable()):
        raise InvalidRequest("force_task_id", "must be printable and without '/' to be in a path")
    # Longer than A1111's ids, and unguessable: the id gives access to the pictures.
    new_id = f"{order.kind}-{secrets.token_urlsafe(16)}"
    order = replace(order, holds=hand_over(req))
    status = board.submit(order, owner=login(req), party=party(req), new_id=new_id)
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
