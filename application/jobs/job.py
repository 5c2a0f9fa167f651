"""One job: its state, progress and previews, and how it is interrupted."""

import copy
import logging
import math
import secrets
import string
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from PIL.Image import Image

from hexfusion.application.jobs.live_preview import LivePreview, NumberedPreview
from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.errors import timed_out
from hexfusion.domain.progress import Progress

log = logging.getLogger(__name__)

#: Returns the time in seconds since 1970; injected, so that tests control it.
Clock = Callable[[], float]
#: Whether the client of a job has disconnected.
Abandoned = Callable[[], bool]


class JobState(Enum):
    """QUEUED -> RUNNING -> DONE, FAILED or CANCELLED; QUEUED may be CANCELLED or FAILED at once."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A consistent snapshot of a job. Times are in seconds since 1970; `elapsed` is the running
    time in seconds."""

    state: JobState
    progress: Progress
    elapsed: float
    text: str
    interrupted: bool
    skipped: bool
    queued_at: float
    started_at: float | None
    changes: int

    @property
    def over(self) -> bool:
        """Whether no more work will be done."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)


def new_task_id(kind: str) -> str:
    """A random id in A1111's form, `task(txt2img-XXXXXXX)` (spec api.md 4)."""
    alphabet = string.ascii_uppercase + string.digits
    return f"task({kind}-{''.join(secrets.choice(alphabet) for _ in range(7))})"


def party_of(owner: str | None) -> str:
    """The party of a login; without logins one that all are of, unless their address tells."""
    return "" if owner is None else f"user {owner}"


class Job:
    """A job. Any thread may read and interrupt it; one thread runs it.

    `owner` is the login of the client, None if the server has no logins: it decides who sees the
    job. `party` is who shares slots and places with others: the login, or where there are none the
    client's address. `models` are the paths of the checkpoints that it uses, as far as known before
    it runs. `changes` counts the changes of its state and progress. It is interrupted when it has
    run for `seconds`, by `ticks`, which never goes back.
    """

    def __init__(
        self,
        kind: str,
        clock: Clock,
        id: str | None = None,
        abandoned: Abandoned = lambda: False,
        owner: str | None = None,
        models: Collection[str] = (),
        party: str | None = None,
        ticks: Clock = time.monotonic,
    ) -> None:
        self.id = id or new_task_id(kind)
        self.kind = kind
        self.owner = owner
        self.party = party_of(owner) if party is None else party
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
        self.changes = 0
        self.meters = NO_METERS
        self.seconds = math.inf
        self.timed_out = False
        self._ticks = ticks
        self._running_since = math.inf
        self._stepped_at: float | None = None
        self._passes: tuple[int, ...] = (0,)
        self._units_before = 0
        self._batches: int | None = None
        self._begun = 0
        self._abandoned = abandoned
        self._clock = clock
        self._lock = threading.Condition()
        self._live = LivePreview()

    def view(self) -> JobView:
        """A consistent snapshot; use it to read more than one attribute."""
        with self._lock:
            return JobView(
                state=self.state,
                progress=self.progress,
                elapsed=self.elapsed,
                text=self.text,
                interrupted=self.interrupted,
                skipped=self.skipped,
                queued_at=self.queued_at,
                started_at=self.started_at,
                changes=self.changes,
            )

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
        """Decode the current batch as it is, and make no more batches."""
        self.interrupted = True

    def skip(self) -> None:
        """Decode the current batch as it is, and continue with the next."""
        self.skipped = True

    def cancelled(self) -> bool:
        """Whether it was interrupted, has run out of time, or its client has disconnected."""
        self._check_time()
        return self.interrupted or self._abandoned()

    def _check_time(self) -> None:
        """Interrupt it if it has run for as long as it may."""
        if not self.interrupted and self._ticks() - self._running_since >= self.seconds:
            self.timed_out = True
            self.interrupt()
            log.warning("job %s: %s", self.id, timed_out(self.seconds))

    def expect(self, batches: int) -> None:
        """Announce the number of batches of the whole job.

        For scripts that generate more than once: the numbers that `begin_batch` gets then count
        within one generation only, and are replaced.
        """
        self._batches, self._begun = batches, 0

    def begin_batch(self, text: str, number: int, of: int, passes: Sequence[int] = (0,)) -> None:
        """Batch `number` (from 0) of `of` starts.

        `text` describes it for `/progress`; `passes` has the number of steps of each sampling run.
        """
        if self._batches is not None:
            number, of = self._begun, self._batches
            self._begun += 1
        runs = len(passes)
        self._stepped_at = None  # what comes before a first step is no step
        self._live.begin()
        with self._lock:
            self.text = text
            self.skipped = False
            self._passes = tuple(passes)
            self._units_before = number * runs
            self.progress = Progress(units=of * runs, units_done=self._units_before)
            self._tell()

    def observe(self, step: int, of: int, preview: Callable[[], Image]) -> Verdict:
        """Record a step; implements `application.ports.inference.Observer`."""
        self._look()
        now, before = self._clock(), self._stepped_at
        self._stepped_at = now
        if before is not None:
            self.meters.step(now - before)
        self._live.offer(preview, step)
        with self._lock:
            self.progress = self._progress_at(step, of)
            self._tell()
        return self.verdict()

    def advance(self, step: int, of: int) -> Verdict:
        """Record progress of work without previews (upscaling, interrogation)."""
        self._look()
        with self._lock:
            self.progress = self._progress_at(step, of)
            self._tell()
        return self.verdict()

    def _look(self) -> None:
        if self._abandoned():
            self.interrupted = True
        self._check_time()

    def verdict(self) -> Verdict:
        """Whether to continue with the current batch."""
        self._check_time()
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

    @property
    def picture_number(self) -> int:
        """Number of the latest preview; 0 before the first."""
        return self._live.number

    def preview(self, every: int = 1) -> NumberedPreview | None:
        """The latest preview with its number; see `LivePreview.latest`."""
        return self._live.latest(every)

    def picture(self, every: int = 1) -> Image | None:
        """The latest preview without its number."""
        shown = self.preview(every)
        return shown.image if shown else None

    def show(self, pictures: Sequence[Image]) -> None:
        """Record the finished pictures of a batch; the last one becomes the preview."""
        self._live.finish(pictures[-1])
        with self._lock:
            self.pictures_made += len(pictures)
            self._tell()

    def without_picture(self) -> "Job":
        """A copy of a job that is over, which does not hold its last picture in memory."""
        job = copy.copy(self)
        job._live = LivePreview()
        return job

    def enter(self, state: JobState) -> None:
        """Change to `state`, and record the time."""
        now = self._clock()
        if state is not JobState.RUNNING:
            self._live.begin()  # there is nothing more to make previews of
        with self._lock:
            if state is JobState.RUNNING:
                self.started_at = now
                self._running_since = self._ticks()
            else:
                self.finished_at = now
                self.text = ""
            self.state = state
            self._tell()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until `changes` differs from `seen`, at most `seconds`; returns `changes`."""
        with self._lock:
            self._lock.wait_for(lambda: self.changes != seen, seconds)
            return self.changes

    def tell(self) -> None:
        """Wake the threads in `wait`."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        self.changes += 1
        self._lock.notify_all()


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Meters:
    """Callbacks for metrics: `step` gets the seconds of each sampling step, `job` each finished
    job."""

    step: Callable[[float], None] = _ignore
    job: Callable[[Job], None] = _ignore


NO_METERS = Meters()


def visible(job: Job, owner: str | None) -> bool:
    """Whether login `owner` may see the job; without logins (None) always."""
    return owner is None or job.owner == owner
