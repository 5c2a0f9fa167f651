"""Log of refused and failed requests: why each 4xx and 5xx was sent.

Tells method, path, status, reason, client, user and task, but no query, header or body, and so no
secrets. `--api-log` tells the reason too.
"""

import logging

import falcon

from hexfusion.domain.one_line import one_line

#: Longest part of a reason, and of a path, that is told, in characters.
SHOWN, PATH_SHOWN = 500, 300
#: Refusals that an operator should notice: of access, of pages of others, of a full server.
_NOTICED = frozenset({401, 403, 421, 429, 503})

_log = logging.getLogger("hexfusion.refused")


class RefusalLog:
    """Middleware; must be the last, so that it sees replies before they are compressed."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if resp.status_code < 400:
            return
        reason = req.context["reason"] = reason_of(req, resp)  # before the reply is compressed
        log_refusal(
            req.method,
            req.path,
            resp.status_code,
            reason,
            client=req.remote_addr,
            user=req.context.get("user"),
            task=task_of(req, resp),
            # Taken out: an error holds its frames, and they hold the request. Such a circle would
            # keep a job's pictures.
            unexpected=req.context.pop("unexpected", None),
        )


def note(req: falcon.Request, reason: str, unexpected: Exception | None = None) -> None:
    """Note why the request is refused, for the logs; `unexpected`: an error to be traced."""
    req.context["reason"] = reason
    req.context["unexpected"] = unexpected


def reason_of(req: falcon.Request, resp: falcon.Response) -> str:
    """Why the request was refused: what was noted, else what the reply says."""
    reason = req.context.get("reason")
    if reason is None:
        said = resp.data if resp.data is not None else (resp.text or "").encode()
        reason = bytes(said[:SHOWN]).decode("utf-8", "replace")
    return one_line(reason, SHOWN)


def task_of(req: falcon.Request, resp: falcon.Response) -> str | None:
    """The id of the request's job, None if it has none, or an unknown one."""
    task: str | None = resp.get_header("X-Task-Id") or req.context.get("task")
    return task


def log_refusal(
    method: str,
    path: str,
    status: int,
    reason: str,
    *,
    client: str | None,
    user: str | None = None,
    task: str | None = None,
    unexpected: Exception | None = None,
) -> None:
    """Write the line of one refused request."""
    told = {"client": client, "user": user, "task": task}
    who = ", ".join(f"{name} {one_line(value, 100)}" for name, value in told.items() if value)
    if status in _NOTICED:
        level = logging.WARNING
    else:
        level = logging.ERROR if status >= 500 else logging.INFO
    _log.log(
        level,
        "%s %s %d: %s (%s)",
        one_line(method, 20),
        one_line(path, PATH_SHOWN),
        status,
        one_line(reason, SHOWN),
        who or "client unknown",
        exc_info=unexpected,
    )
