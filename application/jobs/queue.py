"""Jobs: every request is one, with its own id, progress and cancel.

The queue is first come, first served over a fixed number of slots, save that jobs for checkpoints
in memory may go before others, within bounds (`grouping`). Whoever brings a job lends it a thread.
What A1111 keeps global (`/progress`, `/interrupt`, `/skip`) speaks here of one job: the one named,
else the one that has been running longest. Where users have logins, each sees only those of their
own.
"""

import secrets
import string
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from PIL.Image import Image

from hexfusion.application.jobs.grouping import GROUPING, Grouping, next_of, note_overtaken
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import JobCancelled, NotFound, QueueFull, ServerStopping
from hexfusion.domain.progress import Progress

#: Seconds of epoch time; injected, so that tests own the clock.
Clock = Callable[[], float]
#: Answers whether whoever asked for a job has gone away.
Abandoned = Callable[[], bool]
#: Files of the checkpoints that render without being loaded first.
Ready = Callable[[], Collection[str]]

#: How often a waiting job looks whether its client is still there, seconds.
_PATROL = 0.25
#: How far a job must be to tell how long it will take: A1111's share for having begun is 0.01.
_JUDGED = 0.011


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
    """One request's life. Safe to read and to stop from any thread; one thread works on it.

    `owner` is the login of who asked for it, None where the server asks for none. `models` are the
    files of the checkpoints that it uses, as far as that is known before it runs.
    """

    def __init__(
        self,
        kind: str,
        clock: Clock,
        id: str | None = None,
        abandoned: Abandoned = lambda: False,
        owner: str | None = None,
        models: Collection[str] = (),
    ) -> None:
        self.id = id or new_task_id(kind)
        self.kind = kind
        self.owner = owner
        self.models = models
        self.overtaken = 0
        self.overtaken_at: float | None = None
        self.text = ""
        self.state = JobState.QUEUED
        self.queued_at = clock()
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.progress = Progress(units=-1)
        self.interrupted = False
        self.skipped = False
        self.pictures_made = 0
        self.picture_number = 0
        self.changes = 0
        self.meters = NO_METERS
        self._stepped_at: float | None = None
        self._passes: tuple[int, ...] = (0,)
        self._units_before = 0
        self._batches: int | None = None
        self._begun = 0
        self._abandoned = abandoned
        self._clock = clock
        self._lock = threading.Condition()
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

    def expect(self, batches: int) -> None:
        """There will be so many in all: what `begin_batch` is told is true of a part only."""
        self._batches, self._begun = batches, 0

    def begin_batch(self, text: str, number: int, of: int, passes: Sequence[int] = (0,)) -> None:
        """Batch `number` (from 0) of `of` starts; `passes` are its sampling runs' steps."""
        if self._batches is not None:
            number, of = self._begun, self._batches
            self._begun += 1
        self.text = text
        self.skipped = False
        self._passes = tuple(passes)
        runs = len(self._passes)
        self._units_before = number * runs
        self._stepped_at = None  # what comes before a first step is no step
        with self._lock:
            self.progress = Progress(units=of * runs, units_done=self._units_before)
            self._tell()

    def observe(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        """The inference port's observer: note the step, answer what to do next."""
        if self._abandoned():
            self.interrupted = True
        now, before = self._clock(), self._stepped_at
        self._stepped_at = now
        if before is not None:
            self.meters.step(now - before)
        with self._lock:
            self.progress = self._progress_at(step, of)
            self._preview, self._preview_step = preview, step
            self._tell()
        return self.verdict()

    def advance(self, step: int, of: int) -> Verdict:
        """The same for work that is no sampling and shows nothing under way."""
        if self._abandoned():
            self.interrupted = True
        with self._lock:
            self.progress = self._progress_at(step, of)
            self._tell()
        return self.verdict()

    def verdict(self) -> Verdict:
        """Whether to go on with what is in hand."""
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
            self.picture_number += 1
        return picture

    def show(self, pictures: Sequence[Image]) -> None:
        """A batch is finished; its last picture becomes the preview."""
        with self._lock:
            self.pictures_made += len(pictures)
            self._preview, self._picture, self._picture_step = None, pictures[-1], -1
            self.picture_number += 1
            self._tell()

    def enter(self, state: JobState) -> None:
        """Come to this state, and note when."""
        with self._lock:
            if state is JobState.RUNNING:
                self.started_at = self._clock()
            else:
                self.finished_at = self._clock()
                self.text = ""
                self._preview = None  # it holds on to latents
            self.state = state
            self._tell()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until there is something new since `seen`, at most `seconds`; returns `changes`."""
        with self._lock:
            self._lock.wait_for(lambda: self.changes != seen, seconds)
            return self.changes

    def tell(self) -> None:
        """Wake who watches."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        self.changes += 1
        self._lock.notify_all()


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Meters:
    """Who hears how long things took: each sampling step in seconds, each job when it is over."""

    step: Callable[[float], None] = _ignore
    job: Callable[[Job], None] = _ignore


NO_METERS = Meters()


class JobQueue:
    """Runs jobs in the threads that bring them, `slots` at a time, in order of arrival.

    At most `max_waiting` wait; one more raises `QueueFull`. Within `grouping`'s bounds jobs are
    preferred whose checkpoints are `ready`, or in use by a running job.
    """

    def __init__(
        self,
        clock: Clock,
        slots: int = 1,
        max_waiting: int = 32,
        meters: Meters = NO_METERS,
        grouping: Grouping = GROUPING,
        ready: Ready = tuple,
    ) -> None:
        self._clock = clock
        self._slots = slots
        self._grouping = grouping
        self._ready = ready
        self._max_waiting = max_waiting
        self._meters = meters
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._last: Job | None = None
        self._stopping = False

    @contextmanager
    def admit(self, job: Job) -> Iterator[Job]:
        """Wait for a slot, hold it for the `with` block, and keep the job's books.

        Raises `QueueFull` when too many wait, `ServerStopping` once no more are taken,
        `JobCancelled` when the job is cancelled, or its client gone, before its turn.
        """
        self.enter(job)
        with self.turn(job):
            yield job

    def enter(self, job: Job) -> None:
        """Take a place in the queue; a thread has to come and take the job's turn.

        Raises `QueueFull`, `ServerStopping`.
        """
        with self._changed:
            if self._stopping:
                raise ServerStopping
            if self._full():
                raise QueueFull(len(self._waiting), self._patience())
            job.meters = self._meters
            self._waiting.append(job)
            self._tell_waiting()

    @contextmanager
    def turn(self, job: Job) -> Iterator[Job]:
        """Wait for the slot of a job that entered, hold it for the `with` block.

        Raises `JobCancelled`, `ServerStopping`.
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
            while True:
                if not job.over and job.cancelled():
                    self._drop(job)
                if job.over:
                    if self._stopping:
                        raise ServerStopping
                    raise JobCancelled(f"job {job.id} was cancelled while it waited")
                if len(self._running) < self._slots and self._next() is job:
                    break
                self._changed.wait(_PATROL)
            place = self._waiting.index(job)
            note_overtaken(self._waiting[:place], self._clock())
            del self._waiting[place]
            self._running.append(job)
            self._last = job
            job.enter(JobState.RUNNING)
            self._changed.notify_all()
            self._tell_waiting()

    def _next(self) -> Job:
        """Whose turn it is, of those waiting."""
        if len(self._waiting) == 1:
            return self._waiting[0]
        ready = {*self._ready(), *(model for job in self._running for model in job.models)}
        return next_of(self._waiting, ready, self._grouping, self._clock())

    def _drop(self, job: Job) -> None:
        """A waiting job leaves."""
        self._waiting.remove(job)
        job.enter(JobState.CANCELLED)
        self._meters.job(job)
        self._changed.notify_all()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        """Their positions changed."""
        for job in self._waiting:
            job.tell()

    def _finish(self, job: Job, state: JobState) -> None:
        with self._changed:
            self._running.remove(job)
            job.enter(state)
            self._changed.notify_all()
        self._meters.job(job)

    def _full(self) -> bool:
        free = len(self._running) < self._slots and not self._waiting
        return not free and len(self._waiting) >= self._max_waiting

    def _patience(self) -> int:
        """Seconds after which asking again makes sense: what the running jobs still need."""
        etas = [job.progress.eta(job.elapsed) for job in self._running]
        return max(1, min(600, round(min(etas, default=1.0))))

    def full(self) -> bool:
        """Whether one more job would be refused."""
        with self._changed:
            return self._full() or self._stopping

    @property
    def stopping(self) -> bool:
        """Whether no more jobs are taken."""
        return self._stopping

    def current(self, owner: str | None = None) -> Job | None:
        """The running job that started first; of this owner, if one is named."""
        with self._changed:
            return next((job for job in self._running if visible(job, owner)), None)

    def last(self) -> Job | None:
        """The job that started last, running or over."""
        with self._changed:
            return self._last

    def running(self) -> list[Job]:
        """Jobs under way, in the order they started."""
        with self._changed:
            return list(self._running)

    def waiting(self) -> list[Job]:
        """Jobs not yet started, in order of arrival."""
        with self._changed:
            return list(self._waiting)

    def find(self, id: str, owner: str | None = None) -> Job:
        """The running or waiting job of that id; of this owner, if one is named.

        Raises `NotFound`.
        """
        with self._changed:
            for job in (*self._running, *self._waiting):
                if job.id == id and visible(job, owner):
                    return job
        raise NotFound("job", id)

    def interrupt(self, id: str | None = None, owner: str | None = None) -> None:
        """Interrupt the named job, else the current one; nothing when idle."""
        job = self.find(id, owner) if id else self.current(owner)
        if job:
            self.cancel(job)

    def cancel(self, job: Job) -> None:
        """Let a running job finish what it has in hand, and a waiting one go at once."""
        with self._changed:
            job.interrupt()
            if job in self._waiting:
                self._drop(job)

    def skip(self, id: str | None = None, owner: str | None = None) -> None:
        """Skip the batch in hand of the named job, else of the current one."""
        job = self.find(id, owner) if id else self.current(owner)
        if job:
            job.skip()

    def interrupt_all(self) -> None:
        """Interrupt what runs and send away what waits."""
        for job in (*self.running(), *self.waiting()):
            self.cancel(job)

    def stop(self, seconds: float) -> None:
        """Take no more jobs: the server will be gone in `seconds`.

        What waits is sent away, for another server. What runs goes on if it seems to end in time,
        else it is interrupted now, so that its pictures so far are delivered.
        """
        with self._changed:
            self._stopping = True
            for job in (*self._waiting, *self._running):
                started = job.progress.fraction() > _JUDGED
                if not started or job.progress.eta(job.elapsed) > seconds:
                    self.cancel(job)


def visible(job: Job, owner: str | None) -> bool:
    """Whether this login may see the job. Where there are no logins, everybody may."""
    return owner is None or job.owner == owner
