"""The job board: all queued, running and finished jobs, by owner and id.

A client may wait for its job, as with A1111, or leave it to a thread of the server and fetch the
result later. A job with an id of the client's choice (`force_task_id`) is run once: an equal
request with the same id gets the same result. See docs/adr/0009.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from PIL.Image import Image

from hexfusion.application.jobs.allotment import Allotment, unshared
from hexfusion.application.jobs.failures import log_failure
from hexfusion.application.jobs.job import Abandoned, Clock, JobState, party_of
from hexfusion.application.jobs.orders import Entry, JobOutcome, Order, check_same
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.status import JobStatus, of_record
from hexfusion.application.ports.jobs import JobRecord, JobStore, JobStoreError
from hexfusion.domain.errors import (
    InvalidRequest,
    JobCancelled,
    NotFound,
    ResultTooLarge,
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


class _Role(Enum):
    """What a client's thread does about the job it claimed."""

    DOES = "does"  # runs it
    JOINS = "joins"  # waits for the thread that runs it
    CAME_LATE = "came late"  # the job was interrupted: wait for its end, then claim again


class Watch:
    """A client's subscription to the events of one job. Must be closed."""

    def __init__(
        self, board: "JobBoard", entry: Entry | None, kept: JobStatus | None, party: str
    ) -> None:
        self._board = board
        self._party = party
        self._entry = entry
        self._kept = kept
        self._open = True

    def status(self) -> JobStatus:
        """The present status of the job."""
        if self._entry is None:
            assert self._kept is not None
            return self._kept
        return self._board.status_of(self._entry)

    def picture(self, every: int) -> tuple[int, Image] | None:
        """(number, preview): the latest preview, or None; a new one at most every `every` steps."""
        if self._entry is None or (shown := self._entry.job.preview(every)) is None:
            return None
        return shown.number, shown.image

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until `changes` of the job differs from `seen`, at most `seconds`; returns it."""
        return self._entry.job.wait(seen, seconds) if self._entry else seen

    def close(self) -> None:
        """End the subscription; another client may watch. May be called more than once."""
        if self._open:
            self._open = False
            self._board.leave(self._party)


class JobBoard:
    """Jobs by owner and id. Thread-safe.

    `owner` is the login of the caller; callers cannot see, fetch or stop jobs of other logins. It
    is None if the server has no logins. `party` is who shares places and turns with others; by
    default the login.
    """

    def __init__(
        self,
        queue: JobQueue,
        store: JobStore,
        clock: Clock,
        retention: Retention | None = None,
        max_watchers: int = MAX_WATCHERS,
        watchers: Allotment | None = None,
    ) -> None:
        """`watchers` says how many of `max_watchers` may be one party's; by default all."""
        self._queue = queue
        self._store = store
        self._clock = clock
        self._retention = retention or Retention()
        self._places = watchers or unshared(max_watchers)
        most, each = queue.places + MAX_CLOSING, queue.places_each
        self._alive = Allotment(most, most if each == queue.places else each + CLOSING_EACH)
        self._lock = threading.RLock()
        self._live: dict[tuple[str | None, str], Entry] = {}
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
    ) -> JobStatus:
        """Start the job in a thread of the server; `new_id` is its id if the order has none.

        Raises `QueueFull`, `ShareTaken`, `ServerStopping`, `JobConflict`.
        """
        while True:
            found = self._claim(order, owner, party, lambda: False, keep=True, new_id=new_id)
            match found:
                case (entry, _Role.CAME_LATE):
                    self._await(entry, party, lambda: False)
                case (entry, role):
                    if role is _Role.DOES:
                        self._start(entry)
                    return self.status_of(entry)
                case JobRecord():
                    return of_record(found, self._retention)

    def check_room(
        self, id: str | None, owner: str | None = None, party: str | None = None
    ) -> None:
        """Raises `QueueFull`, `ShareTaken` or `ServerStopping` if a new job would be refused now.

        For requests that are costly to read. One with the id of a known job may need no place.
        """
        if not (id and self._knows(id, owner)):
            self._queue.check_room(party_of(owner) if party is None else party)

    def _knows(self, id: str, owner: str | None) -> bool:
        try:
            self.status(id, owner)
        except NotFound:
            return False
        return True

    def status(self, id: str, owner: str | None = None) -> JobStatus:
        """The status of the owner's job `id`. Raises `NotFound`."""
        with self._lock:
            if entry := self._live.get((owner, id)):
                return self.status_of(entry)
            return of_record(self._kept(id, owner), self._retention)

    def found(self, id: str, owner: str | None = None) -> tuple[JobStatus, bytes | None]:
        """(status, stored result or error as JSON) of the owner's job `id`.

        The JSON is None while the job is not over, and if nothing was stored. Both belong to the
        same job, even if another job replaces it meanwhile. Raises `NotFound`, `JobStoreError`.
        """
        for again in (True, False):
            with self._lock:
                if entry := self._live.get((owner, id)):
                    return self.status_of(entry), None
                record = self._kept(id, owner)
            status = of_record(record, self._retention)
            try:
                return status, None if record.kept == "nothing" else self._store.body(record)
            except NotFound:
                if not again:
                    raise
        raise AssertionError("it returns or raises")

    def body(self, id: str, owner: str | None = None) -> bytes:
        """The stored result or error of a finished job, as JSON.

        Raises `NotFound`, `JobStoreError`.
        """
        return self._store.body(self._kept(id, owner))

    def statuses(self, owner: str | None = None, *, of_all: bool = False) -> list[JobStatus]:
        """The owner's jobs: running, then waiting, then finished ones with the latest first.

        With `of_all` those of all owners, for who may see them.
        """
        with self._lock:
            entries = [each for (of, _), each in self._live.items() if of_all or of == owner]
            self._sweep()
            kept = [each for each in self._store.records() if of_all or each.owner == owner]
        live = sorted(map(self.status_of, entries), key=lambda each: each.position or 0)
        return live + [of_record(each, self._retention) for each in reversed(kept)]

    def whose(self, id: str, owner: str | None = None) -> str | None:
        """The owner of job `id`: this one if they have one of that id, else another; for who may
        see the jobs of all. Raises `NotFound`."""
        with self._lock:
            owners = [of for of, live in self._live if live == id]
            owners += [each.owner for each in self._store.records() if each.id == id]
        if not owners:
            raise NotFound("job", id)
        return owner if owner in owners else owners[0]

    def finished(self, id: str, owner: str | None = None) -> JobRecord | None:
        """The record of the owner's finished job `id`, None if there is none or it has expired.

        A job whose result is still being encoded counts as finished.
        """
        with self._lock:
            entry = self._live.get((owner, id))
            if entry and entry.job.over:
                return entry.record or self._record(entry, entry.job.state)
            try:
                return self._kept(id, owner)
            except NotFound:
                return None

    def cancel(self, id: str, owner: str | None = None) -> JobStatus:
        """Interrupt a running job, remove a waiting one from the queue, delete a finished one.

        Raises `NotFound`.
        """
        with self._lock:
            entry = self._live.get((owner, id))
            if entry is None:
                record = self._kept(id, owner)
                self._store.remove(record)
                return of_record(record, self._retention)
        self._queue.cancel(entry.job)
        return self.status_of(entry)

    def watch(self, id: str, owner: str | None = None, party: str | None = None) -> Watch:
        """Subscribe to a job's events. Raises `NotFound`, `TooManyWatchers`, `ShareTaken`."""
        with self._lock:
            entry = self._live.get((owner, id))
            kept = None if entry else self.status(id, owner)
            watcher = self._enter(owner, party)
        return Watch(self, entry, kept, watcher)

    @property
    def busy(self) -> bool:
        """Whether any job is queued, running or being encoded."""
        return bool(self._live)

    def stop(self, seconds: float) -> None:
        """Accept no more jobs, and end those that run within `seconds`.

        Jobs still running shortly before that are interrupted, so that their pictures so far can
        be delivered. Returns at once.
        """
        working = max(seconds - _DELIVERY, 0)
        self._queue.stop(working)
        timer = threading.Timer(working, self._queue.interrupt_all)
        timer.daemon = True
        timer.start()

    def status_of(self, entry: Entry) -> JobStatus:
        """Used by `Watch`: the status of an entry."""
        if entry.record:
            return of_record(entry.record, self._retention)
        job, waiting = entry.job, self._queue.waiting()
        view = job.view()  # after the queue was looked at: what waits still, waited then
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

    def leave(self, party: str) -> None:
        """Used by `Watch`: one watcher of the party fewer."""
        with self._lock:
            self._watchers[party] -= 1
            self._watchers += Counter()  # without those that have none

    def _claim(
        self,
        order: Order[Any],
        owner: str | None,
        party: str | None,
        abandoned: Abandoned,
        *,
        keep: bool,
        new_id: str | None = None,
    ) -> tuple[Entry, _Role] | JobRecord:
        """An entry and the caller's role for it, or the record of the same job, already
        finished."""
        if order.id and len(order.id) > MAX_ID:
            raise InvalidRequest("force_task_id", f"has more than {MAX_ID} characters")
        with self._lock:
            if order.id and (entry := self._live.get((owner, order.id))):
                if entry.job.interrupted:
                    return entry, _Role.CAME_LATE
                check_same(entry.order, order)
                entry.clients.join(abandoned)
                entry.keep |= keep
                return entry, _Role.JOINS
            if order.id and (record := self._same(order, owner)):
                return record
            if len(self._live) >= self._queue.places + MAX_CLOSING:
                raise self._queue.refusal()
            entry = Entry(order, self._clock, owner, order.id or new_id, party)
            self._check_share(entry.job.party)
            entry.clients.join(abandoned)
            entry.keep = keep
            self._queue.enter(entry.job)
            self._live[owner, entry.job.id] = entry
            return entry, _Role.DOES

    def _check_share(self, party: str) -> None:
        """Raises `ShareTaken` if the party has too many jobs that are yet to be encoded."""
        held = Counter(each.job.party for each in self._live.values())
        if self._alive.exceeded(held, party):
            patience = self._queue.refusal().retry_after
            raise ShareTaken(party, held[party], "jobs under way", patience)

    def _same(self, order: Order[Any], owner: str | None) -> JobRecord | None:
        """The record of the successful job of an equal request with the same id, if it is kept.

        A different request with the same id is a new job, as in A1111 (spec api.md 4).
        """
        record = self.finished(order.id, owner) if order.id else None
        succeeded = record and record.state == JobState.DONE.value and record.kept == "result"
        return record if succeeded and record and record.digest == order.digest else None

    def _body(self, record: JobRecord) -> bytes | None:
        try:
            return self._store.body(record)
        except (NotFound, JobStoreError) as error:
            log.warning("the result of job %s is lost: %s", record.id, error)
            self._store.remove(record)
            return None

    def _start(self, entry: Entry) -> None:
        def work() -> None:
            try:
                self._work(entry)
            except Exception as error:  # stored, for the client that asks for the job
                log_failure(entry.job.id, error)

        try:
            threading.Thread(target=work, name=entry.job.id, daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._queue.cancel(entry.job)
            self._close(entry, JobState.FAILED, error=error)
            raise

    def _work(self, entry: Entry) -> None:
        order, job = entry.order, entry.job
        try:
            with self._queue.turn(job):
                made = order.make(job)
            body = order.encode(made)
        except BaseException as error:
            stopped = isinstance(error, JobCancelled | ServerStopping)
            state = JobState.CANCELLED if stopped else JobState.FAILED
            # Without a name of its own: an error that its frame names is a cycle (`Entry.settle`).
            self._close(
                entry,
                state,
                error=error if isinstance(error, Exception) else RuntimeError(repr(error)),
            )
            raise
        self._close(entry, job.state, body)

    def _close(
        self, entry: Entry, state: JobState, body: bytes = b"", error: Exception | None = None
    ) -> None:
        """Record the result or the error of a job, and wake everybody who waits for it."""
        entry.outcome, entry.error = body, error
        if entry.keep and len(body) > self._retention.bytes:
            error, state = ResultTooLarge(len(body), self._retention.bytes), JobState.FAILED
        kept = "result" if entry.keep else "nothing"
        if error:
            kept, body = "error", entry.order.explain(error)
        record = self._record(entry, state, kept, body)
        if entry.keep:
            try:
                self._store.put(record, body)
            except JobStoreError as failure:
                log.error("what came of job %s is lost: %s", entry.job.id, failure)
        with self._lock:
            entry.record = record
            self._live.pop((entry.job.owner, entry.job.id), None)
            self._sweep()
        entry.over.set()
        entry.job.tell()

    def _record(
        self, entry: Entry, state: JobState, kept: str = "nothing", body: bytes = b""
    ) -> JobRecord:
        job = entry.job
        return JobRecord(
            id=job.id,
            kind=job.kind,
            owner=job.owner,
            party=job.party,
            state=state.value,
            kept=kept,
            digest=entry.order.digest,
            progress=job.progress,
            queued_at=job.queued_at,
            started_at=job.started_at,
            finished_at=self._clock(),
            size=len(body),
        )

    def _await(self, entry: Entry, party: str | None, abandoned: Abandoned) -> Exception | None:
        """Wait until the job is over; returns its error, None if it succeeded.

        Raises `TooManyWatchers`, `ShareTaken`, and `JobCancelled` if the client disconnects.
        """
        try:
            with self._watching(entry.job.owner, party):
                while not entry.over.wait(_PATROL):
                    if abandoned():
                        raise JobCancelled(f"nobody waits for job {entry.job.id}")
                return entry.error
        finally:
            entry.settle(abandoned)

    def _kept(self, id: str, owner: str | None) -> JobRecord:
        self._sweep()
        record = self._store.find(id, owner)
        if record is None:
            raise NotFound("job", id)
        return record

    def _sweep(self) -> None:
        for record in self._retention.outdated(self._store.records(), self._clock()):
            self._store.remove(record)

    @contextmanager
    def _watching(self, owner: str | None, party: str | None) -> Iterator[None]:
        watcher = self._enter(owner, party)
        try:
            yield
        finally:
            self.leave(watcher)

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
