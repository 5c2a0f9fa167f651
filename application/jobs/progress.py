"""Use-case: the progress of a job, as `/progress` reports it. Source: spec api.md 11.2."""

import time
from collections.abc import Callable, Sequence

import msgspec
from PIL.Image import Image

from hexfusion.application.jobs.job import Job, JobState, JobView, visible
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.jobs import JobRecord
from hexfusion.application.ports.options import OptionsStore
from hexfusion.domain.errors import NotFound
from hexfusion.domain.progress import Progress

#: (id, owner) -> the record of the finished job, None if there is none.
FindFinishedJob = Callable[[str, str | None], JobRecord | None]


class ProgressState(msgspec.Struct, frozen=True, kw_only=True):
    """The `state` object of `/progress`; fields in the order of the JSON."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressReport(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a job: `progress` is 0 to 1, `eta_relative` the seconds remaining, `picture` the
    latest preview."""

    progress: float
    eta_relative: float
    state: ProgressState
    picture: Image | None = None
    textinfo: str | None = None


class ReadProgress:
    """Reports the progress of the named job, else of the running one, else of the last one.

    `owner` is the login of the caller; jobs of other logins are invisible.
    """

    def __init__(
        self,
        jobs: JobQueue,
        options: OptionsStore,
        finished: FindFinishedJob = lambda id, owner: None,
    ) -> None:
        self._jobs = jobs
        self._options = options
        self._finished = finished

    def __call__(
        self, id: str | None = None, *, picture: bool = True, owner: str | None = None
    ) -> ProgressReport:
        """Raises `NotFound` if no job that is queued, running or kept has this id."""
        if id:
            return self._named(id, picture, owner)
        if running := self._jobs.current(owner):
            return self._report(running, picture)
        job = self._jobs.last()
        if job is None or not visible(job, owner):
            return ProgressReport(progress=0.0, eta_relative=0.0, state=ProgressState())
        # Between jobs A1111 keeps the last job's counters but reports no progress.
        view = job.view()
        idle = msgspec.structs.replace(view.progress, units=0)
        return ProgressReport(progress=0.0, eta_relative=0.0, state=_state(view, idle))

    def _named(self, id: str, picture: bool, owner: str | None) -> ProgressReport:
        try:
            job = self._jobs.find(id, owner)
        except NotFound:
            record = self._finished(id, owner)
            if record is None:
                raise
            return _over(record)
        report = self._report(job, picture)
        return msgspec.structs.replace(report, textinfo=place_in(self._jobs.waiting(), job))

    def _report(self, job: Job, picture: bool) -> ProgressReport:
        view = job.view()
        return ProgressReport(
            progress=view.progress.fraction(),
            eta_relative=view.progress.eta(view.elapsed),
            state=_state(view, view.progress),
            picture=self._preview(job) if picture else None,
        )

    def _preview(self, job: Job) -> Image | None:
        options = self._options.snapshot()
        if not options.flag("live_previews_enable"):
            return None
        return job.picture(every=options.integer("show_progress_every_n_steps"))


def _over(record: JobRecord) -> ProgressReport:
    """The report of a finished job."""
    done = record.state == JobState.DONE.value
    return ProgressReport(
        progress=float(done),
        eta_relative=0.0,
        state=ProgressState(
            interrupted=record.state == JobState.CANCELLED.value,
            job_timestamp=timestamp(record.started_at or record.queued_at),
        ),
        textinfo=record.state,
    )


def place_in(queue: Sequence[Job], job: Job) -> str | None:
    """A1111's text for a waiting job, `In queue: 2/3`; None if it does not wait (spec api.md
    11.4)."""
    return f"In queue: {queue.index(job) + 1}/{len(queue)}" if job in queue else None


def _state(job: JobView, progress: Progress) -> ProgressState:
    return ProgressState(
        skipped=job.skipped,
        interrupted=job.interrupted,
        job=job.text,
        job_count=progress.units,
        job_timestamp=timestamp(job.started_at or job.queued_at),
        job_no=progress.units_done,
        sampling_step=progress.step,
        sampling_steps=progress.steps,
    )


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as `YYYYMMDDhhmmss` in local time, as A1111 writes it."""
    return time.strftime("%Y%m%d%H%M%S", time.localtime(seconds))
