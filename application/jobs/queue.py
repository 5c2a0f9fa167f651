"""Jobs: every request is one, with its own id, progress and cancel.

The queue is first come, first served over a fixed number of slots, save that jobs for checkpoints
in memory may go before others, within bounds (`grouping`). Whoever brings a job lends it a thread.
What A1111 keeps global (`/progress`, `/interrupt`, `/skip`) speaks here of one job: the one named,
else the one that has been running longest. Where users have logins, each sees only those of their
own.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from hexfusion.application.jobs.grouping import GROUPING, Grouping, next_of, note_overtaken
from hexfusion.application.jobs.job import NO_METERS, Clock, Job, JobState, Meters, visible
from hexfusion.domain.errors import JobCancelled, NotFound, QueueFull, ServerStopping

#: Files of the checkpoints that render without being loaded first.
Ready = Callable[[], Collection[str]]

#: How often a waiting job looks whether its client is still there, seconds.
_PATROL = 0.25
#: How far a job must be to tell how long it will take: A1111's share for having begun is 0.01.
_JUDGED = 0.011


class JobQueue:
    """Runs jobs in the threads that bring them, `slots` at a time, in order of arrival.

    At most `max_waiting` wait; one more raises `QueueFull`. Within `grouping`'s bounds jobs are
    preferred whose checkpoints are `ready`, or in use by a running job.

    Nothing foreign is called under its lock, but the clock: `ready` asks the backend, which may be
    busy for long, a job asks its client, and meters are anybody's. What any of them raises ends
    the job in whose thread it was asked, and no other.
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
        try:
            self.enter(job)
            with self.turn(job):
                yield job
        except BaseException:
            self._end(job, JobState.FAILED)  # if it came in, and a signal before its turn
            raise

    def enter(self, job: Job) -> None:
        """Take a place in the queue; a thread has to come and take the job's turn.

        Raises `QueueFull`, `ServerStopping`.
        """
        with self._changed:
            if self._stopping:
                raise ServerStopping
            if self._full():
                raise self.refusal()
            job.meters = self._meters
            self._waiting.append(job)
            self._tell_waiting()

    @contextmanager
    def turn(self, job: Job) -> Iterator[Job]:
        """Wait for the slot of a job that entered, hold it for the `with` block.

        Whatever ends the wait or the block, a KeyboardInterrupt too, the job is out of the queue
        then. Raises `JobCancelled`, `ServerStopping`.
        """
        try:
            self._wait_turn(job)
            yield job
        except JobCancelled:
            self._end(job, JobState.CANCELLED)
            raise
        except BaseException:
            self._end(job, JobState.FAILED)
            raise
        self._end(job, JobState.CANCELLED if job.interrupted else JobState.DONE)

    def _wait_turn(self, job: Job) -> None:
        ready: Collection[str] | None = None
        while True:
            if job.cancelled():
                self._leave(job)
            with self._changed:
                if job not in self._waiting:
                    if self._stopping:
                        raise ServerStopping
                    raise JobCancelled(f"job {job.id} was cancelled while it waited")
                free = len(self._running) < self._slots
                asking = free and len(self._waiting) > 1 and ready is None
                if free and not asking and self._next(ready or ()) is job:
                    self._start(job)
                    return
                if not asking:
                    self._changed.wait(_PATROL)
            # Whose turn it is is judged by what the queue is then, not by what it was when asking.
            ready = self._ready() if asking else None

    def _next(self, ready: Collection[str]) -> Job:
        """Whose turn it is, of those waiting."""
        in_use = (model for job in self._running for model in job.models)
        return next_of(self._waiting, {*ready, *in_use}, self._grouping, self._clock())

    def _start(self, job: Job) -> None:
        """Its turn has come. Call with the lock held, as the following."""
        place = self._waiting.index(job)
        note_overtaken(self._waiting[:place], self._clock())
        self._running.append(job)
        del self._waiting[place]
        self._last = job
        job.enter(JobState.RUNNING)
        self._changed.notify_all()
        self._tell_waiting()

    def _take_out(self, job: Job, state: JobState) -> bool:
        """Whether it was still in."""
        waited, ran = job in self._waiting, job in self._running
        if waited:
            self._waiting.remove(job)
        if ran:
            self._running.remove(job)
        if waited or ran:
            job.enter(state)
            self._changed.notify_all()
        if waited:
            self._tell_waiting()
        return waited or ran

    def _tell_waiting(self) -> None:
        """Their positions changed."""
        for job in self._waiting:
            job.tell()

    def _leave(self, job: Job) -> None:
        """It goes, if it waits."""
        with self._changed:
            left = job in self._waiting and self._take_out(job, JobState.CANCELLED)
        if left:
            self._meters.job(job)

    def _end(self, job: Job, state: JobState) -> None:
        """It is over, if it is not yet."""
        with self._changed:
            ended = self._take_out(job, state)
        if ended:
            self._meters.job(job)

    def _full(self) -> bool:
        free = len(self._running) < self._slots and not self._waiting
        return not free and len(self._waiting) >= self._max_waiting

    def _patience(self) -> int:
        """Seconds after which asking again makes sense: what the running jobs still need."""
        views = [job.view() for job in self._running]
        etas = [view.progress.eta(view.elapsed) for view in views]
        return max(1, min(600, round(min(etas, default=1.0))))

    @property
    def places(self) -> int:
        """How many jobs may run and wait."""
        return self._slots + self._max_waiting

    def refusal(self) -> QueueFull:
        """What one job too many is told."""
        with self._changed:
            return QueueFull(len(self._waiting), self._patience())

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

    def standing(self) -> tuple[list[Job], list[Job]]:
        """Those under way and those not yet started, as they were at one moment: a job that starts
        is in one of the two."""
        with self._changed:
            return list(self._running), list(self._waiting)

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
        job.interrupt()
        self._leave(job)

    def skip(self, id: str | None = None, owner: str | None = None) -> None:
        """Skip the batch in hand of the named job, else of the current one."""
        job = self.find(id, owner) if id else self.current(owner)
        if job:
            job.skip()

    def interrupt_all(self) -> None:
        """Interrupt what runs and send away what waits."""
        running, waiting = self.standing()
        for job in (*waiting, *running):
            self.cancel(job)

    def stop(self, seconds: float) -> None:
        """Take no more jobs: the server will be gone in `seconds`.

        What waits is sent away, for another server. What runs goes on if it seems to end in time,
        else it is interrupted now, so that its pictures so far are delivered.
        """
        with self._changed:
            self._stopping = True
            waiting, running = list(self._waiting), list(self._running)
            for job in waiting:
                job.interrupt()
                self._take_out(job, JobState.CANCELLED)
        for job in waiting:
            self._meters.job(job)
        for job in running:
            view = job.view()
            started = view.progress.fraction() > _JUDGED
            if not started or view.progress.eta(view.elapsed) > seconds:
                job.interrupt()
