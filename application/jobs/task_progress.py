"""Use-cases: one task's progress, and the pending tasks, for the routes of A1111's web UI.

Source: spec api.md 11.4.
"""

from dataclasses import dataclass

from PIL.Image import Image

from hexfusion.application.jobs.job import Job, JobState, visible
from hexfusion.application.jobs.progress import FindFinishedJob, place_in
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.ports.options import OptionsStore


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """Progress of a task: `progress` is 0 to 1, `eta` the seconds remaining; None unless it runs.

    `picture` is the preview with number `number`, None if the caller already has that one.
    """

    active: bool = False
    queued: bool = False
    completed: bool = False
    progress: float | None = None
    eta: float | None = None
    picture: Image | None = None
    number: int = -1
    textinfo: str | None = None


class ReadTaskProgress:
    """Reports the progress of a task; an unknown id is no error."""

    def __init__(self, jobs: JobQueue, options: OptionsStore, finished: FindFinishedJob) -> None:
        self._jobs = jobs
        self._options = options
        self._finished = finished

    def __call__(
        self, id: str | None, *, seen: int = -1, picture: bool = True, owner: str | None = None
    ) -> TaskReport:
        """`seen` is the number of the preview that the caller already has, `owner` their login.

        Without an id the report is of the idle server: active if nothing runs.
        """
        running, waiting = self._jobs.standing()
        if not id:
            idle = not any(visible(job, owner) for job in running)
            report = TaskReport(active=True, progress=0.0, number=seen)
            return report if idle else TaskReport(textinfo="Waiting...")
        for job in running:
            if job.id == id and visible(job, owner):
                return self._running(job, seen, picture)
        for job in waiting:
            if job.id == id and visible(job, owner):
                return TaskReport(queued=True, textinfo=place_in(waiting, job))
        record = self._finished(id, owner)
        done = record is not None and record.state == JobState.DONE.value
        return TaskReport(completed=done, textinfo="Waiting...")

    def _running(self, job: Job, seen: int, wanted: bool) -> TaskReport:
        view = job.view()
        share = view.progress.share_done()
        options = self._options.snapshot()
        picture, number = None, seen
        if wanted and options.flag("live_previews_enable"):
            latest = job.preview(every=options.integer("show_progress_every_n_steps"))
            if latest is not None and latest.number != seen:
                picture, number = latest.image, latest.number
        return TaskReport(
            active=True,
            progress=share,
            eta=view.elapsed / share - view.elapsed if share > 0 else None,
            picture=picture,
            number=number,
        )


class ListPendingTasks:
    """Returns the ids of the waiting jobs in order of arrival; with `owner`, only that login's."""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs

    def __call__(self, owner: str | None = None) -> list[str]:
        return [job.id for job in self._jobs.waiting() if visible(job, owner)]
