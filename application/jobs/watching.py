"""A client's look at a job for as long as it goes on."""

from collections.abc import Callable

from PIL.Image import Image

from hexfusion.application.jobs.orders import Entry
from hexfusion.application.jobs.status import JobStatus


class Watch:
    """A client's subscription to the events of one job. Must be closed."""

    def __init__(
        self,
        entry: Entry | None,
        kept: JobStatus | None,
        status_of: Callable[[Entry], JobStatus],
        leave: Callable[[], None],
    ) -> None:
        """`kept` is the status of a job that has no `entry`; `leave` ends the subscription."""
        self._status_of = status_of
        self._leave = leave
        self._entry = entry
        self._kept = kept
        self._open = True

    def status(self) -> JobStatus:
        """The present status of the job."""
        if self._entry is None:
            assert self._kept is not None
            return self._kept
        return self._status_of(self._entry)

    def picture(self, every: int) -> tuple[int, Image] | None:
        """(number, preview): the latest preview, or None; a new one at most every `every` steps."""
        if self._entry is None or (shown := self._entry.job.preview(every)) is None:
            return None
        return shown.number, shown.image

    @property
    def postponed(self) -> bool:
        """Whether nothing more will happen to the job before the next start of the server."""
        return self._entry is not None and self._entry.postponed

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until `changes` of the job differs from `seen`, at most `seconds`; returns it."""
        return self._entry.job.wait(seen, seconds) if self._entry else seen

    def close(self) -> None:
        """End the subscription; another client may watch. May be called more than once."""
        if self._open:
            self._open = False
            self._leave()
