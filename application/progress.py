"""Use-case: how far is a job? Source: spec api.md 11.2."""

import time

import msgspec
from PIL.Image import Image

from application.jobs import Job, JobQueue
from application.ports.options import OptionsStore
from domain.progress import Progress


class ProgressState(msgspec.Struct, frozen=True, kw_only=True):
    """The `state` object of `/progress`, in its order."""

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
    """`progress` is 0 to 1, `eta_relative` seconds, `picture` the latest preview."""

    progress: float
    eta_relative: float
    state: ProgressState
    picture: Image | None = None
    textinfo: str | None = None


class ReadProgress:
    """Answers for the job named, else for the one that runs, else for the last one."""

    def __init__(self, jobs: JobQueue, options: OptionsStore) -> None:
        self._jobs = jobs
        self._options = options

    def __call__(self, id: str | None = None, *, picture: bool = True) -> ProgressReport:
        """Raises `NotFound` for an id that neither runs nor waits."""
        running = self._jobs.find(id) if id else self._jobs.current()
        job = running or self._jobs.last()
        if job is None:
            idle = Progress()
            return ProgressReport(progress=0.0, eta_relative=0.0, state=_state(None, idle))
        # Between jobs A1111 keeps the last job's counters but reports no progress.
        progress = job.progress if running else _idle(job.progress)
        return ProgressReport(
            progress=progress.fraction(),
            eta_relative=progress.eta(job.elapsed),
            state=_state(job, progress),
            picture=self._preview(job) if picture and running else None,
        )

    def _preview(self, job: Job) -> Image | None:
        options = self._options.snapshot()
        if not options.flag("live_previews_enable"):
            return None
        return job.picture(every=options.integer("show_progress_every_n_steps"))


def _idle(progress: Progress) -> Progress:
    return msgspec.structs.replace(progress, units=0)


def _state(job: Job | None, progress: Progress) -> ProgressState:
    if job is None:
        return ProgressState()
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
    """Epoch seconds as A1111's `YYYYMMDDhhmmss`, local time."""
    return time.strftime("%Y%m%d%H%M%S", time.localtime(seconds))
