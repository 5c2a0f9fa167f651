"""What is done with a request that was read: the application answers it, or an error is told."""

from typing import Any

from waitress.task import ErrorTask, WSGITask
from waitress.utilities import RequestEntityTooLarge

from hexfusion.adapters.http.access.refusal_log import log_refusal
from hexfusion.adapters.http.errors import TooLarge
from hexfusion.adapters.http.middleware import UNREAD
from hexfusion.adapters.http.serving.parser import RequestTimeout
from hexfusion.adapters.http.wire.json_results import to_json


class Task(WSGITask):
    """The application's reply. It is told what was judged of the request before its body."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ.update(self.request.judged)
        if self.request.unread is not None:
            environ[UNREAD] = self.request.unread
        return environ

    def execute(self) -> None:
        if self.request.unread is not None:
            self.set_close_on_finish()
        super().execute()


class JsonError(ErrorTask):
    """Waitress's own error replies, as JSON."""

    def execute(self) -> None:
        error = self.request.error
        detail = error.reason
        if isinstance(error, RequestEntityTooLarge):
            detail = str(TooLarge(self.channel.server.max_body))
        elif isinstance(error, RequestTimeout):
            detail = error.body
        log_refusal(
            getattr(self.request, "command", "?"),  # absent where not even that could be read
            getattr(self.request, "path", "?"),
            error.code,
            detail,
            client=str(self.channel.addr[0]) if self.channel.addr else None,
        )
        body = to_json({"detail": detail})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
