"""The status of a job as its client sees it, while it waits, runs and after it is over."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexfusion.application.jobs.job import Job, JobState, JobView
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.ports.jobs import AcceptedJob, JobRecord
from hexfusion.domain.progress import Progress


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The status of one job.

    Times are in seconds since 1970; `elapsed` is the running time in seconds. `position` is the
    place among the waiting jobs, from 1, in the order in which they should run. `kept` tells what
    is stored of a finished job: "result", "error" or "nothing"; it is stored until `expires_at` at
    the latest.
    """

    id: str
    kind: str
    owner: str | None = None
    state: JobState
    position: int | None = None
    progress: Progress = Progress()  # noqa: RUF009  frozen
    elapsed: float = 0.0
    text: str = ""
    queued_at: float
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    kept: str = "nothing"
    changes: int = 0

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)

    @property
    def fraction(self) -> float:
        """Progress, 0 to 1: 0 while the job waits, 1 once it is done."""
        if self.state is JobState.DONE:
            return 1.0
        return 0.0 if self.state is JobState.QUEUED else self.progress.fraction()

    @property
    def eta(self) -> float | None:
        """Estimated seconds remaining; None while there is no estimate."""
        if self.over:
            return 0.0
        begun = self.state is JobState.RUNNING and self.progress.share_done() > 0
        return max(self.progress.eta(self.elapsed), 0.0) if begun else None


def of_job(job: Job, view: JobView, waiting: Sequence[Job]) -> JobStatus:
    """The status of a job in the queue, or at work; `waiting` are all that wait."""
    queued = view.state is JobState.QUEUED and job in waiting
    return JobStatus(
        id=job.id,
        kind=job.kind,
        owner=job.owner,
        # When its work is done its result is yet to be encoded and kept.
        state=JobState.RUNNING if view.over and view.started_at is not None else view.state,
        position=waiting.index(job) + 1 if queued else None,
        progress=view.progress,
        elapsed=view.elapsed,
        text=view.text,
        queued_at=view.queued_at,
        started_at=view.started_at,
        changes=view.changes,
    )


def of_record(record: JobRecord, retention: Retention) -> JobStatus:
    """The status of a finished job."""
    started = record.started_at
    return JobStatus(
        id=record.id,
        kind=record.kind,
        owner=record.owner,
        state=JobState(record.state),
        progress=record.progress,
        elapsed=0.0 if started is None else record.finished_at - started,
        queued_at=record.queued_at,
        started_at=started,
        finished_at=record.finished_at,
        expires_at=retention.until(record),
        kept=record.kept,
    )


def of_accepted(job: AcceptedJob) -> JobStatus:
    """The status of a job that was accepted by an earlier server, or is left to the next one."""
    return JobStatus(
        id=job.id,
        kind=job.kind,
        owner=job.owner,
        state=JobState.QUEUED,
        queued_at=job.queued_at,
    )
