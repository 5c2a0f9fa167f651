"""Jobs: every request is one, with its own id, progress and cancel.

The queue is first come, first served over a fixed number of slots; the caller's thread does the
work. What A1111 keeps global (`/progress`, `/interrupt`, `/skip`) speaks here of one job: the one
named, else the one that has been running longest.
"""

import secrets
import string
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from PIL.Image import Image

from application.ports.inference import Verdict
from domain.errors import JobCancelled, NotFound, QueueFull
from domain.progress import Progress

#: Seconds of epoch time; injected, so that tests own the clock.
Clock = Callable[[], float]
#: Answers whether whoever asked for a job has gone away.
Abandoned = Callable[[], bool]

#: How often a waiting job looks whether its client is still there, seconds.
_PATROL = 0.25


class JobState(Enum):
    """QUEUED -> RUNNING -> DONE, FAILED or CANCELLED; QUEUED may be CANCELLED at once."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def new_task_id(kind: str) -> str:
    """An id as A1111 makes them: `task(txt2img-XXXXXXX)` (spec api.md 4)."""
    alphabet = string.ascii_uppercase + string.digits
    return f"task({kind}-{''.join(secrets.choice(alphabet) for _ in range(7))})"


class Job:
    """One request's life. Safe to read and to stop from any thread; one thread works on it."""

    def __init__(
        self,
        kind: str,
        clock: Clock,
        id: str | None = None,
        abandoned: Abandoned = lambda: False,
    ) -> None:
        self.id = id or new_task_id(kind)
        self.kind = kind
        self.text = ""
        self.state = JobState.QUEUED
        self.queued_at = clock()
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.progress = Progress(units=-1)
        self.interrupted = False
        self.skipped = False
        self._passes: tuple[int, ...] = (0,)
        self._units_before = 0
        self._abandoned = abandoned
        self._clock = clock
        self._lock = threading.Lock()
        self._preview: Callable[[], Image] | None = None
        self._preview_step = 0
        self._picture: Image | None = None
        self._picture_step = -1

    @property
    def elapsed(self) -> float:
        """Seconds of work so far."""
        if self.started_at is None:
            return 0.0
        end = self._clock() if self.finished_at is None else self.finished_at
        return end - self.started_at

    @property
    def over(self) -> bool:
        return self.state not in (JobState.QUEUED, JobState.RUNNING)

    def interrupt(self) -> None:
        """Finish the picture in hand from what there is and make no more."""
        self.interrupted = True

    def skip(self) -> None:
        """Finish the batch in hand from what there is and go on with the next."""
        self.skipped = True

    def cancelled(self) -> bool:
        """Whether nobody wants the result any more."""
        return self.interrupted or self._abandoned()

    def begin_batch(self, text: str, number: int, of: int, passes: Sequence[int] = (0,)) -> None:
        """Batch `number` (from 0) of `of` starts; `passes` are its sampling runs' steps."""
        self.text = text
        self.skipped = False
        self._passes = tuple(passes)
        runs = len(self._passes)
        self._units_before = number * runs
        self.progress = Progress(units=of * runs, units_done=self._units_before)

    def observe(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        """The inference port's observer: note the step, answer what to do next."""
        if self._abandoned():
            self.interrupted = True
        with self._lock:
            self.progress = self._progress_at(step, of)
            self._preview, self._preview_step = preview, step
        if self.interrupted:
            return Verdict.INTERRUPT
        return Verdict.SKIP if self.skipped else Verdict.CONTINUE

    def _progress_at(self, step: int, of: int) -> Progress:
        """Each pass is a unit, with steps of its own (spec api.md 11.1)."""
        run, steps = 0, self._passes[0] or of
        while step > steps and run + 1 < len(self._passes):
            step -= steps
            run += 1
            steps = self._passes[run]
        # A1111 counts the last finished step from 0.
        units_done = self._units_before + run
        return Progress(
            units=self.progress.units, units_done=units_done, step=step - 1, steps=steps
        )

    def picture(self, every: int = 1) -> Image | None:
        """The latest preview, made now unless one not older than `every` steps exists.

        `every` -1 makes no new one. A preview that cannot be made is no error: the last one
        stays (spec api.md 11.2).
        """
        with self._lock:
            make, step = self._preview, self._preview_step
            fresh = self._picture is not None and step - self._picture_step < every
        if make is None or every < 0 or fresh:
            return self._picture
        try:
            picture = make()
        except Exception:
            return self._picture
        with self._lock:
            self._picture, self._picture_step = picture, step
        return picture

    def show(self, picture: Image) -> None:
        """A finished picture becomes the preview."""
        with self._lock:
            self._preview, self._picture, self._picture_step = None, picture, -1

    def release(self) -> None:
        """Let go of latents that previews hold on to."""
        with self._lock:
            self._preview = None


class JobQueue:
    """Runs jobs in their callers' threads, `slots` at a time, in order of arrival.

    At most `max_waiting` wait; one more raises `QueueFull`.
    """

    def __init__(self, clock: Clock, slots: int = 1, max_waiting: int = 32) -> None:
        self._clock = clock
        self._slots = slots
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._last: Job | None = None

    @contextmanager
    def admit(self, job: Job) -> Iterator[Job]:
        """Wait for a slot, hold it for the `with` block, and keep the job's books.

        Raises `QueueFull` when too many wait, `JobCancelled` when the job is cancelled, or its
        client gone, before its turn.
        """
        self._wait_turn(job)
        try:
            yield job
        except JobCancelled:
            self._finish(job, JobState.CANCELLED)
            raise
        except BaseException:
            self._finish(job, JobState.FAILED)
            raise
        self._finish(job, JobState.CANCELLED if job.interrupted else JobState.DONE)

    def _wait_turn(self, job: Job) -> None:
        with self._changed:
            free = len(self._running) < self._slots and not self._waiting
            if not free and len(self._waiting) >= self._max_waiting:
                raise QueueFull(len(self._waiting), self._patience())
            self._waiting.append(job)
            while self._waiting[0] is not job or len(self._running) >= self._slots:
                if job.cancelled():
                    self._waiting.remove(job)
                    job.state = JobState.CANCELLED
                    job.finished_at = self._clock()
                    self._changed.notify_all()
                    raise JobCancelled(f"job {job.id} was cancelled while it waited")
                self._changed.wait(_PATROL)
            self._waiting.popleft()
            self._running.append(job)
            self._last = job
            job.state, job.started_at = JobState.RUNNING, self._clock()
            self._changed.notify_all()

    def _finish(self, job: Job, state: JobState) -> None:
        with self._changed:
            job.state, job.finished_at, job.text = state, self._clock(), ""
            job.release()
            self._running.remove(job)
            self._changed.notify_all()

    def _patience(self) -> int:
        """Seconds after which asking again makes sense: what the running jobs still need."""
        etas = [job.progress.eta(job.elapsed) for job in self._running]
        return max(1, min(600, round(min(etas, default=1.0))))

    def current(self) -> Job | None:
        """The running job that started first."""
        with self._changed:
            return self._running[0] if self._running else None

    def last(self) -> Job | None:
        """The job that started last, running or over."""
        with self._changed:
            return self._last

    def waiting(self) -> list[Job]:
        """Jobs not yet started, next first."""
        with self._changed:
            return list(self._waiting)

    def find(self, id: str) -> Job:
        """The running or waiting job of that id. Raises `NotFound`."""
        with self._changed:
            for job in (*self._running, *self._waiting):
                if job.id == id:
                    return job
        raise NotFound("job", id)

    def interrupt(self, id: str | None = None) -> None:
        """Interrupt the named job, else the current one; nothing when idle."""
        job = self.find(id) if id else self.current()
        if job:
            job.interrupt()
            with self._changed:
                self._changed.notify_all()

    def skip(self, id: str | None = None) -> None:
        """Skip the batch in hand of the named job, else of the current one."""
        job = self.find(id) if id else self.current()
        if job:
            job.skip()

    def interrupt_all(self) -> None:
        """Interrupt what runs and cancel what waits: the server is about to stop."""
        with self._changed:
            for job in (*self._running, *self._waiting):
                job.interrupt()
            self._changed.notify_all()
