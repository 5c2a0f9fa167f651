"""The job queue: a fixed number of slots, and a bounded number of waiting jobs.

The parties that wait take turns (`turns`), each with its jobs in order of arrival, except that jobs
whose checkpoints are in memory may overtake others, within bounds (`grouping`). A job runs in the
thread that submits it. `/progress`, `/interrupt` and `/skip`, which are global in A1111, apply to
one job: the one named by id, else the one that has been running longest. With logins, each user
sees only their own jobs.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from hexfusion.application.jobs.allotment import Allotment, unshared
from hexfusion.application.jobs.grouping import (
    GROUPING,
    Grouping,
    next_of,
    note_overtaken,
    overtaken_by,
)
from hexfusion.application.jobs.job import NO_METERS, Clock, Job, JobState, Meters, visible
from hexfusion.application.jobs.turns import Turns
from hexfusion.domain.errors import JobCancelled, NotFound, QueueFull, ServerStopping, ShareTaken

#: Returns the paths of the checkpoints that are loaded and ready.
Ready = Callable[[], Collection[str]]

#: Seconds between two checks whether the client of a waiting job has disconnected.
_PATROL = 0.25
#: Progress from which the time remaining can be estimated: A1111 adds 0.01 for having begun.
_JUDGED = 0.011


class JobQueue:
    """Runs up to `slots` jobs at once, each in the thread that submits it.

    At most `max_waiting` jobs wait; one more raises `QueueFull`. `share` says how many of these
    places one party may have; without it all. One job more raises `ShareTaken`. Within the bounds
    of `grouping`, jobs whose checkpoints are `ready`, or in use by a running job, go first. A job
    that has run for `seconds` is interrupted.

    No callback but the clock is called while the lock is held: `ready` asks the backend, which may
    be busy for long, `Job.cancelled` asks the client, and `meters` are foreign code. An exception
    in one of them ends the job in whose thread it was called, and no other.
    """

    def __init__(
        self,
        clock: Clock,
        slots: int = 1,
        max_waiting: int = 32,
        meters: Meters = NO_METERS,
        grouping: Grouping = GROUPING,
        ready: Ready = tuple,
        share: Allotment | None = None,
        seconds: float = math.inf,
    ) -> None:
        self._clock = clock
        self._slots = slots
        self._share = share or unshared(max_waiting)
        self._turns = Turns(slots)
        self._grouping = grouping
        self._ready = ready
        self._max_waiting = max_waiting
        self._meters = meters
        self._seconds = seconds
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._last: Job | None = None
        self._stopping = False

    @contextmanager
    def admit(self, job: Job) -> Iterator[Job]:
        """Enter the queue, wait for a slot, hold it for the `with` block, record the job's state.

        Raises `QueueFull`, `ServerStopping` once no jobs are accepted, `JobCancelled` if the job is
        cancelled or its client disconnects before it has a slot.
        """
        try:
            self.enter(job)
            with self.turn(job):
                yield job
        except BaseException:
            self._end(job, JobState.FAILED)  # if it came in, and a signal before its turn
            raise

    def enter(self, job: Job, *, taken: bool = False) -> None:
        """Put the job into the queue; the caller must run it in `turn`.

        There is always room for one that was `taken` before. Raises `QueueFull`, `ShareTaken`,
        `ServerStopping`.
        """
        with self._changed:
            waiting = self._check_room(job.party, taken=taken)
            job.meters, job.seconds = self._meters, self._seconds
            self._pass_time()
            self._turns.enter(job.party, waits=waiting > 0)
            self._waiting.append(job)
            if len(self._running) < self._slots:
                self._changed.notify_all()  # whose turn it is may have changed
            self._tell_waiting()

    def check_room(self, party: str) -> None:
        """Raises `QueueFull`, `ShareTaken`, `ServerStopping` if a job of the party would be refused
        now; for requests that are costly to read."""
        with self._changed:
            self._check_room(party)

    def _check_room(self, party: str, *, taken: bool = False) -> int:
        """The number of the party's jobs that wait; raises as `check_room`. Requires the lock."""
        if self._stopping:
            raise ServerStopping
        if not taken and self._full():
            raise self.refusal()
        held = Counter(each.party for each in self._waiting)
        if not taken and not self._open() and self._share.exceeded(held, party):
            raise self._share_taken(party, held[party])
        return held[party]

    @contextmanager
    def turn(self, job: Job) -> Iterator[Job]:
        """Wait for a slot for a job that entered the queue, hold it for the `with` block.

        The job leaves the queue at the end, whatever exception ends the wait or the block. Raises
        `JobCancelled`, `ServerStopping`.
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
        """The waiting job that is to run next."""
        in_use = (model for job in self._running for model in job.models)
        return next_of(self._in_turn(), {*ready, *in_use}, self._grouping, self._clock())

    def _in_turn(self) -> list[Job]:
        """The waiting jobs in the order in which they should run. Requires the lock."""
        return self._turns.order(self._waiting, self._running)

    def _pass_time(self) -> None:
        """Charge the running jobs' parties; before the lists change. Requires the lock.

        Between two changes the accounts stay as they are, so that all waiting threads agree on
        whose turn it is.
        """
        self._turns.pass_time(self._clock(), self._running, self._waiting)

    def _start(self, job: Job) -> None:
        """Move a waiting job to the running ones. Requires the lock, as do the next methods."""
        note_overtaken(overtaken_by(job, self._in_turn()), self._clock())
        self._pass_time()
        self._running.append(job)
        self._waiting.remove(job)
        self._last = job
        job.enter(JobState.RUNNING)
        self._changed.notify_all()
        self._tell_waiting()

    def _take_out(self, job: Job, state: JobState) -> bool:
        """Remove a job and set its state; returns whether it was still queued or running."""
        waited, ran = job in self._waiting, job in self._running
        if waited or ran:
            self._pass_time()
        if waited:
            self._waiting.remove(job)
        if ran:
            self._running.remove(job)
        if waited or ran:
            job.enter(state)
            if job is self._last:
                self._last = job.without_picture()
        if ran:
            self._turns.ended(job.party, job.elapsed)
        if waited or ran:
            self._changed.notify_all()
        if waited:
            self._tell_waiting()
        return waited or ran

    def _tell_waiting(self) -> None:
        """Wake the watchers of waiting jobs, whose positions have changed."""
        for job in self._waiting:
            job.tell()

    def _leave(self, job: Job) -> None:
        """Remove a job from the queue if it waits."""
        with self._changed:
            left = job in self._waiting and self._take_out(job, JobState.CANCELLED)
        if left:
            self._meters.job(job)

    def _end(self, job: Job, state: JobState) -> None:
        """End a job, unless it has ended already."""
        with self._changed:
            ended = self._take_out(job, state)
        if ended:
            self._meters.job(job)

    def _open(self) -> bool:
        """Whether a job that came now would run at once."""
        return len(self._running) < self._slots and not self._waiting

    def _full(self) -> bool:
        return not self._open() and len(self._waiting) >= self._max_waiting

    def _share_taken(self, party: str, waiting: int) -> ShareTaken:
        return ShareTaken(party, waiting, "jobs waiting", self._patience())

    def _patience(self) -> int:
        """Value of Retry-After, 1 to 600 seconds: the shortest time remaining of a running job."""
        views = [job.view() for job in self._running]
        etas = [view.progress.eta(view.elapsed) for view in views]
        return max(1, min(600, round(min(etas, default=1.0))))

    @property
    def places(self) -> int:
        """Most jobs that may run and wait together."""
        return self._slots + self._max_waiting

    @property
    def places_each(self) -> int:
        """Most jobs of one party that may run and wait together."""
        return self._slots + self._share.each

    def refusal(self) -> QueueFull:
        """The error for a job that the queue has no room for."""
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
        """Running jobs, in the order they started."""
        with self._changed:
            return list(self._running)

    def waiting(self) -> list[Job]:
        """Waiting jobs, in the order in which they should run."""
        with self._changed:
            return self._in_turn()

    def standing(self) -> tuple[list[Job], list[Job]]:
        """(running, waiting) jobs at one moment: a job that is just starting is in exactly one."""
        with self._changed:
            return list(self._running), self._in_turn()

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
        """Interrupt the named job, else the current one; does nothing when idle.

        Raises `NotFound` for an unknown id, as does `skip`.
        """
        job = self.find(id, owner) if id else self.current(owner)
        if job:
            self.cancel(job)

    def cancel(self, job: Job) -> None:
        """Interrupt a running job after its current step, remove a waiting one at once."""
        job.interrupt()
        self._leave(job)

    def skip(self, id: str | None = None, owner: str | None = None) -> None:
        """Skip the current batch of the named job, else of the current one."""
        job = self.find(id, owner) if id else self.current(owner)
        if job:
            job.skip()

    def interrupt_all(self) -> None:
        """Interrupt all running jobs and remove all waiting ones."""
        running, waiting = self.standing()
        for job in (*waiting, *running):
            self.cancel(job)

    def stop(self, seconds: float) -> None:
        """Accept no more jobs: the server stops in `seconds`.

        Waiting jobs are removed. A running job continues if it is estimated to end in time, else it
        is interrupted now, so that its pictures so far are delivered.
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
