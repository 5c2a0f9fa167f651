"""Streams the events of a job (WHATWG HTML, "Server-sent events")."""

import time
from collections.abc import Callable, Iterator

from PIL.Image import Image

from hexfusion.adapters.http.resources.job_json import job_response
from hexfusion.adapters.http.wire.json_results import Unencodable, picture_text, to_json
from hexfusion.application.jobs.status import JobStatus
from hexfusion.application.jobs.watching import Watch

#: Seconds without an event after which a comment is sent, to keep the connection alive.
HEARTBEAT = 15.0
#: Least seconds between two progress events.
_PACE = 0.05
#: Seconds between two checks whether the client has disconnected.
_PATROL = 0.25


class EventStream:
    """Yields `progress` and `preview` events, then `done`, `failed` or `cancelled`.

    The data of a preview is `{"step", "image"}`, with the picture as data URI in format `format`;
    previews are made at most every `every` steps, never if that is 0. The data of other events is
    the job without its result. Ends with the job, or once `gone` returns true (the client has
    disconnected). `heartbeat` is in seconds. Must be closed.
    """

    #: The id of the last event.
    LAST = "end"

    def __init__(
        self,
        watch: Watch,
        gone: Callable[[], bool],
        format: str,
        every: int,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._watch = watch
        self._gone = gone
        self._format = format
        self._every = every
        self._heartbeat = heartbeat

    def close(self) -> None:
        self._watch.close()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._events()
        finally:
            self.close()

    def _events(self) -> Iterator[bytes]:
        shown = 0
        while not self._gone():
            status = self._watch.status()
            if self._watch.postponed:
                return  # a browser asks again, and finds the job at the next server
            if status.over:
                yield _event(status.state.value, _job(status), self.LAST)
                return
            yield _event("progress", _job(status))
            if self._every and (latest := self._watch.picture(self._every)):
                number, picture = latest
                if number != shown and (image := self._encoded(picture)):
                    step = job_response(status).step
                    yield _event("preview", to_json({"step": step, "image": image}))
                shown = number
            time.sleep(_PACE)
            yield from self._silence(status.changes)

    def _silence(self, seen: int) -> Iterator[bytes]:
        """Wait for a change of the job, yielding comments as heartbeats."""
        beat = time.monotonic() + self._heartbeat
        while self._watch.wait(seen, _PATROL) == seen and not self._gone():
            if time.monotonic() >= beat:
                yield b": still there\n\n"
                beat = time.monotonic() + self._heartbeat

    def _encoded(self, picture: Image) -> str | None:
        try:
            text = picture_text(picture, self._format, quality=80)
        except Unencodable:
            return None
        return f"data:image/{self._format};base64,{text}"


def _job(status: JobStatus) -> bytes:
    return to_json(job_response(status))


def _event(name: str, data: bytes, id: str | None = None) -> bytes:
    """Format an event. JSON has no line breaks, so it fits into one `data:` line."""
    identity = f"id: {id}\n" if id else ""
    return f"event: {name}\n{identity}data: ".encode() + data + b"\n\n"
