"""The job board: all queued, running and finished jobs, by owner and id.

A client may wait for its job, as with A1111, or leave it to a thread of the server and fetch the
result later. A job with an id of the client's choice (`force_task_id`) is run once: an equal
request with the same id gets the same result. See docs/adr/0009. A job that was left to the server
is stored before that is confirmed, and done by the next server if this one ends. See docs/adr/0024.
"""

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import msgspec

from hexfusion.application.jobs.acceptance import Acceptance
from hexfusion.application.jobs.allotment import Allotment, unshared
from hexfusion.application.jobs.failures import log_failure
from hexfusion.application.jobs.job import Abandoned, Clock, JobState, party_of
from hexfusion.application.jobs.kept import Explain
from hexfusion.application.jobs.looking import JobsSeen
from hexfusion.application.jobs.orders import Entry, JobOutcome, Order, check_same
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.status import JobStatus, of_record
from hexfusion.application.jobs.watching import Watch
from hexfusion.application.ports.jobs import (
    AcceptedJob,
    Body,
    JobRecord,
    JobRequest,
    JobStore,
    JobStoreError,
    Spool,
    whole,
)
from hexfusion.domain.errors import (
    InvalidRequest,
    JobCancelled,
    JobConflict,
    NotFound,
    ServerStopping,
    ShareTaken,
    TooManyWatchers,
)

#: Most clients that may wait at once for a job in another thread; each of them holds a thread.
MAX_WATCHERS = 32
#: Most jobs that are finished but still being encoded, in addition to those that run and wait.
MAX_CLOSING = 8
#: Most of these that may be one party's.
CLOSING_EACH = 6
#: Longest id a client may give, characters.
MAX_ID = 1024
#: Seconds between two checks whether a client waiting for another thread's job has disconnected.
_PATROL = 0.25
#: Seconds of the grace period at shutdown that are reserved for delivering interrupted results.
_DELIVERY = 3.0

log = logging.getLogger(__name__)


def _in_words(error: Exception) -> bytes:
    return msgspec.json.encode(str(error))


class _Role(Enum):
    """What a client's thread does about the job it claimed."""

    DOES = "does"  # runs it
    JOINS = "joins"  # waits for the thread that runs it
    CAME_LATE = "came late"  # the job was interrupted: wait for its end, then claim again


class JobBoard(JobsSeen):
    """Jobs by owner and id. Thread-safe.

    `owner` is the login of the caller; callers cannot see, fetch or stop jobs of other logins. It
    is None if the server has no logins. `party` is who shares places and turns with others; by
    default the login. `spool` collects what `Order.encode` yields; `explain` tells errors of jobs
    whose orders are gone.
    """

    def __init__(
        self,
        queue: JobQueue,
        store: JobStore,
        clock: Clock,
        retention: Retention | None = None,
        max_watchers: int = MAX_WATCHERS,
        watchers: Allotment | None = None,
        spool: Spool = whole,
        explain: Explain = _in_words,
    ) -> None:
        """`watchers` says how many of `max_watchers` may be one party's; by default all."""
        self._lock = threading.RLock()
        retention = retention or Retention()
        super().__init__(queue, store, clock, retention, explain, self._lock)
        self._places = watchers or unshared(max_watchers)
        most, each = queue.places + MAX_CLOSING, queue.places_each
        self._alive = Allotment(most, most if each == queue.places else each + CLOSING_EACH)
        self._spool = spool
        self._watchers = Counter[str]()

    def perform(
        self,
        order: Order[Any],
        *,
        owner: str | None = None,
        party: str | None = None,
        abandoned: Abandoned = lambda: False,
    ) -> JobOutcome:
        """Run the job in this thread, or wait for the thread that already runs the same job.

        `abandoned` tells whether the client has disconnected. Raises what `order.make` and
        `order.encode` raise; `QueueFull`, `ShareTaken`, `ServerStopping`, `JobCancelled`;
        `JobConflict` if a different job with this id is queued or running.
        """
        while True:
            found = self._claim(order, owner, party, abandoned, keep=order.id is not None)
            match found:
                case (entry, _Role.DOES):
                    try:
                        self._work(entry)
                        return JobOutcome(entry.job.id, entry.outcome)
                    finally:
                        entry.settle(abandoned)
                case (entry, role):
                    error = self._await(entry, party, abandoned)
                    if role is _Role.JOINS and error:
                        try:
                            raise error
                        finally:
                            del error  # see `_work`
                    if role is _Role.JOINS:
                        return JobOutcome(entry.job.id, entry.outcome, replayed=True)
                case JobRecord():
                    if (body := self._body(found)) is not None:
                        return JobOutcome(found.id, body, replayed=True)

    def submit(
        self,
        order: Order[Any],
        *,
        owner: str | None = None,
        party: str | None = None,
        new_id: str | None = None,
        request: JobRequest | None = None,
    ) -> JobStatus:
        """Start the job in a thread of the server; `new_id` is its id if the order has none.

        Where the store outlives the server, the job is stored with its `request` first. Raises
        `QueueFull`, `ShareTaken`, `ServerStopping`, `JobConflict`; `JobStoreError` if it cannot be
        stored: it is not done then.
        """
        while True:
            found = self._claim(order, owner, party, None, keep=True, new_id=new_id)
            match found:
                case (entry, _Role.CAME_LATE):
                    self._await(entry, party, None)
                case (entry, role):
                    try:
                        self._accept(entry, request)
                    except Exception as error:
                        if role is _Role.DOES:
                            self._queue.cancel(entry.job)
                            self._close(entry, JobState.FAILED, error=error, keep=False)
                            entry.settle()
                        raise
                    if role is _Role.DOES:
                        self._start(entry)
                    return self.status_of(entry)
                case JobRecord():
                    return of_record(found, self._retention)

    def resume(self, job: AcceptedJob, order: Order[Any]) -> None:
        """Start a job that an earlier server accepted, as it was: its id, owner and time.

        There is always room for it. Does nothing if it is under way, or stored no more. Raises
        `ServerStopping`.
        """
        with self._lock:
            key = job.owner, job.id
            if key in self._live or self._store.accepted(job.id, job.owner) != job:
                return
            entry = self._enter_queue(order, job.owner, job.id, job, job.party or None)
            entry.keep = True
            entry.clients.want()
        self._start(entry)

    def give_up(self, job: AcceptedJob, state: JobState, error: Exception) -> None:
        """End a job that an earlier server accepted, without doing it."""
        with self._lock:
            if (job.owner, job.id) in self._live:
                return
            if self._store.accepted(job.id, job.owner) != job:
                return
            log.warning("job %s: %s", job.id, error)
            self._kept.put(
                JobRecord(
                    id=job.id,
                    kind=job.kind,
                    owner=job.owner,
                    party=job.party,
                    state=state.value,
                    digest=job.digest,
                    queued_at=job.queued_at,
                    finished_at=self._clock(),
                ),
                error=error,
            )

    def cancel(self, id: str, owner: str | None = None) -> JobStatus:
        """Interrupt a running job, remove a waiting one from the queue, delete a finished one.

        Raises `NotFound`; `JobStoreError` if a finished one cannot be deleted.
        """
        with self._lock:
            entry = self._live.get((owner, id))
            if entry is None:
                record, waiting = self._kept.find(id, owner), self._kept.accepted(id, owner)
                if record is None and waiting is not None:
                    error = JobCancelled(f"job {id} was cancelled while it waited")
                    self.give_up(waiting, JobState.CANCELLED, error)
                    return self.status(id, owner)
        if entry is None:
            if record is None:
                raise NotFound("job", id)
            self._tidy()
            self._kept.remove(record)
            return of_record(record, self._retention)
        entry.acceptance.cancel()
        self._queue.cancel(entry.job)
        record = entry.record
        if record and record.state != JobState.CANCELLED.value:
            self._kept.remove(record)  # it was over before it could be cancelled
        return self.status_of(entry)

    def watch(self, id: str, owner: str | None = None, party: str | None = None) -> Watch:
        """Subscribe to a job's events. Raises `NotFound`, `TooManyWatchers`, `ShareTaken`."""
        with self._lock:
            entry = self._live.get((owner, id))
            kept = None if entry else self.status(id, owner)
            watcher = self._enter(owner, party)
        return Watch(entry, kept, self.status_of, lambda: self._leave(watcher))

    def stop(self, seconds: float) -> None:
        """Accept no more jobs, and end those that run within `seconds`.

        Jobs still running shortly before that are interrupted, so that their pictures so far can
        be delivered. Waiting ones that are stored wait for the next server, others are cancelled.
        Returns at once.
        """
        working = max(seconds - _DELIVERY, 0)
        self._queue.stop(working)
        timer = threading.Timer(working, self._queue.interrupt_all)
        timer.daemon = True
        timer.start()

    def _claim(
        self,
        order: Order[Any],
        owner: str | None,
        party: str | None,
        abandoned: Abandoned | None,
        *,
        keep: bool,
        new_id: str | None = None,
    ) -> tuple[Entry, _Role] | JobRecord:
        """An entry and the caller's role for it, or the record of the same job, already
        finished. Without `abandoned` the caller does not wait for the job's end."""
        if order.id and len(order.id) > MAX_ID:
            raise InvalidRequest("force_task_id", f"has more than {MAX_ID} characters")
        with self._lock:
            left: AcceptedJob | None = None
            if order.id and (entry := self._live.get((owner, order.id))):
                if entry.job.interrupted:
                    return entry, _Role.CAME_LATE
                check_same(entry.order, order)
                self._join(entry, abandoned)
                entry.keep |= keep
                return entry, _Role.JOINS
            if order.id:
                if record := self._same(order, owner):
                    return record
                left = self._left_behind(order, owner)
            if left is None and len(self._live) >= self._queue.places + MAX_CLOSING:
                raise self._queue.refusal()
            entry = self._enter_queue(order, owner, order.id or new_id, left, party)
            self._join(entry, abandoned)
            entry.keep = keep
            return entry, _Role.DOES

    def _check_share(self, party: str) -> None:
        """Raises `ShareTaken` if the party has too many jobs that are yet to be encoded."""
        held = Counter(each.job.party for each in self._live.values())
        if self._alive.exceeded(held, party):
            patience = self._queue.refusal().retry_after
            raise ShareTaken(party, held[party], "jobs under way", patience)

    def _join(self, entry: Entry, abandoned: Abandoned | None) -> None:
        if abandoned is None or entry.acceptance.job:
            entry.clients.want()
        if abandoned is not None:
            entry.clients.join(abandoned)

    def _enter_queue(
        self,
        order: Order[Any],
        owner: str | None,
        id: str | None,
        accepted: AcceptedJob | None,
        party: str | None,
    ) -> Entry:
        """A new entry, its job in the queue; `accepted` if an earlier server took it already.
        Requires the lock."""
        entry = Entry(order, self._clock, owner, id, Acceptance(self._store, accepted), party)
        if accepted:
            entry.job.queued_at = accepted.queued_at
        else:
            self._check_share(entry.job.party)
        self._queue.enter(entry.job, taken=accepted is not None)
        self._live[owner, entry.job.id] = entry
        return entry

    def _same(self, order: Order[Any], owner: str | None) -> JobRecord | None:
        """The record of the successful job of an equal request with the same id, if it is kept.

        A different request with the same id is a new job, as in A1111 (spec api.md 4).
        """
        record = self.finished(order.id, owner) if order.id else None
        succeeded = record and record.state == JobState.DONE.value and record.kept == "result"
        return record if succeeded and record and record.digest == order.digest else None

    def _left_behind(self, order: Order[Any], owner: str | None) -> AcceptedJob | None:
        """The job of an equal request that an earlier server accepted, and that is not resumed yet.

        Raises `JobConflict` if the request was another.
        """
        assert order.id is not None
        left = self._kept.accepted(order.id, owner)
        if left is None or left.cancelled:
            return None
        if left.digest != order.digest:
            raise JobConflict(order.id, "kind" if left.kind != order.kind else "request")
        return left

    def _body(self, record: JobRecord) -> Body | None:
        try:
            return self._kept.body(record)
        except (NotFound, JobStoreError) as error:
            log.warning("the result of job %s is lost: %s", record.id, error)
            with contextlib.suppress(JobStoreError):
                self._kept.remove(record)
            return None

    def _accept(self, entry: Entry, request: JobRequest | None) -> None:
        """Store the job, unless it is. Raises `JobStoreError`."""
        if request is None or not self._store.durable:
            return

        def accepted() -> AcceptedJob:
            job = entry.job
            return AcceptedJob(
                id=job.id,
                kind=job.kind,
                owner=job.owner,
                party=job.party,
                digest=entry.order.digest,
                queued_at=job.queued_at,
            )

        entry.acceptance.accept(accepted, request)

    def _start(self, entry: Entry) -> None:
        def work() -> None:
            try:
                self._work(entry)
            except Exception as error:  # stored, for the client that asks for the job
                log_failure(entry.job.id, error)
            finally:
                entry.settle()

        try:
            threading.Thread(target=work, name=entry.job.id, daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._queue.cancel(entry.job)
            self._close(entry, JobState.FAILED, error=error)
            entry.settle()
            raise

    def _work(self, entry: Entry) -> None:
        """Do the job, and keep what comes of it.

        Nothing here names what an error's frames would hold longer than the work.
        """
        job = entry.job
        try:
            with self._queue.turn(job):
                entry.acceptance.begin()
                made = entry.order.make(job)
            body = self._spool(entry.order.encode(made))
            del made
        except BaseException as error:
            stopped = isinstance(error, JobCancelled | ServerStopping)
            state = JobState.CANCELLED if stopped else JobState.FAILED
            # Without a name of its own: an error that its frame names is a cycle (`Entry`).
            self._close(
                entry,
                state,
                error=error if isinstance(error, Exception) else RuntimeError(repr(error)),
            )
            raise
        self._close(entry, job.state, body)

    def _close(
        self,
        entry: Entry,
        state: JobState,
        body: Body | None = None,
        error: Exception | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """Record the result or the error of a job, and wake everybody who waits for it."""
        if body is not None:
            entry.outcome = body
        entry.error = error
        order, record = entry.order, self._record(entry, state)
        postponed = False

        def put() -> None:
            nonlocal record, postponed
            postponed = isinstance(error, ServerStopping) and entry.acceptance.left_to_next
            if keep and entry.keep and not postponed:
                record = self._kept.put(record, body, error, order.explain)

        entry.acceptance.close(put)
        with self._lock:
            entry.postponed = postponed
            entry.record = None if postponed else record
            self._live.pop((entry.job.owner, entry.job.id), None)
            entry.release()
        entry.over.set()
        entry.job.tell()
        if entry.keep:
            self._tidy()

    def _await(
        self, entry: Entry, party: str | None, abandoned: Abandoned | None
    ) -> Exception | None:
        """Wait until the job is over; returns its error, None if it succeeded.

        Raises `TooManyWatchers`, `ShareTaken`, and `JobCancelled` if the client disconnects.
        """
        try:
            with self._watching(entry.job.owner, party):
                while not entry.over.wait(_PATROL):
                    if abandoned and abandoned():
                        raise JobCancelled(f"nobody waits for job {entry.job.id}")
                return entry.error
        finally:
            entry.settle(abandoned)

    @contextmanager
    def _watching(self, owner: str | None, party: str | None) -> Iterator[None]:
        watcher = self._enter(owner, party)
        try:
            yield
        finally:
            self._leave(watcher)

    def _enter(self, owner: str | None, party: str | None) -> str:
        """Count a watcher; returns whose it is, for `leave`."""
        party = party_of(owner) if party is None else party
        with self._lock:
            if self._places.full(self._watchers):
                raise TooManyWatchers(self._watchers.total())
            if self._places.exceeded(self._watchers, party):
                raise ShareTaken(party, self._watchers[party], "watchers", 5)
            self._watchers[party] += 1
        return party

    def _leave(self, party: str) -> None:
        with self._lock:
            self._watchers[party] -= 1
            self._watchers += Counter()  # without those that have none
