"""Jobs as their clients see them: under way, accepted, finished."""

import threading
from dataclasses import replace

from hexfusion.application.jobs.job import Clock, JobState, party_of
from hexfusion.application.jobs.kept import Explain, KeptJobs
from hexfusion.application.jobs.orders import Entry
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.status import JobStatus, of_accepted, of_job, of_record
from hexfusion.application.ports.jobs import Body, JobRecord, JobStore, ResultDamaged
from hexfusion.domain.errors import NotFound


class JobsSeen:
    """What can be asked of jobs by owner and id; the board adds what can be done. Thread-safe.

    Everything told of a job is of one moment: entries and records are read under one lock.
    """

    def __init__(
        self,
        queue: JobQueue,
        store: JobStore,
        clock: Clock,
        retention: Retention,
        explain: Explain,
        lock: threading.RLock,
    ) -> None:
        """`lock` is that of the jobs under way, which `_live` holds."""
        self._queue = queue
        self._store = store
        self._clock = clock
        self._retention = retention
        self._kept = KeptJobs(store, clock, retention, explain)
        self._lock = lock
        self._live: dict[tuple[str | None, str], Entry] = {}

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
            found = self._look_up(id, owner)
            return found if isinstance(found, JobStatus) else of_record(found, self._retention)

    def found(self, id: str, owner: str | None = None) -> tuple[JobStatus, Body | None]:
        """(status, stored result or error as JSON) of the owner's job `id`.

        The JSON is None while the job is not over, and if nothing was stored. Both belong to the
        same job, even if another job replaces it meanwhile. Raises `NotFound`, `JobStoreError`.
        """
        self._tidy()
        for again in (True, False):
            with self._lock:
                found = self._look_up(id, owner)
            if isinstance(found, JobStatus):
                return found, None
            try:
                body = None if found.kept == "nothing" else self._kept.body(found)
                return of_record(found, self._retention), body
            except (NotFound, ResultDamaged):
                if not again:
                    raise
        raise AssertionError("it returns or raises")

    def body(self, id: str, owner: str | None = None) -> Body:
        """The stored result or error of a finished job, as JSON.

        Raises `NotFound`, `JobStoreError`.
        """
        record = self._kept.find(id, owner)
        if record is None:
            raise NotFound("job", id)
        return self._kept.body(record)

    def statuses(self, owner: str | None = None, *, of_all: bool = False) -> list[JobStatus]:
        """The owner's jobs: running, then waiting, then finished ones with the latest first.

        With `of_all` those of all owners, for who may see them.
        """
        self._tidy()
        with self._lock:
            entries = {key: each for key, each in self._live.items() if of_all or key[0] == owner}
            left = [
                of_accepted(each)
                for each in self._kept.unfinished()
                if (of_all or each.owner == owner) and (each.owner, each.id) not in entries
            ]
            kept = [
                each
                for each in self._kept.records()
                if (of_all or each.owner == owner) and (each.owner, each.id) not in entries
            ]
            live = [self.status_of(each) for each in entries.values()]
        live.sort(key=lambda each: each.position or 0)
        return live + left + [of_record(each, self._retention) for each in reversed(kept)]

    def whose(self, id: str, owner: str | None = None) -> str | None:
        """The owner of job `id`: this one if they have one of that id, else another; for who may
        see the jobs of all. Raises `NotFound`."""
        with self._lock:
            owners = [of for of, live in self._live if live == id]
            owners += [each.owner for each in self._kept.unfinished() if each.id == id]
            owners += [each.owner for each in self._kept.records() if each.id == id]
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
            return self._kept.find(id, owner)

    @property
    def busy(self) -> bool:
        """Whether any job is queued, running or being encoded."""
        return bool(self._live)

    def status_of(self, entry: Entry) -> JobStatus:
        """The status of a job under way, or of one whose entry was taken before it was over."""
        if entry.record:
            return of_record(entry.record, self._retention)
        if entry.postponed and entry.acceptance.job:
            return of_accepted(entry.acceptance.job)
        waiting = self._queue.waiting()
        view = entry.job.view()  # after the queue was looked at: what waits still, waited then
        status = of_job(entry.job, view, waiting)
        leaving = view.over and view.started_at is None and self._queue.stopping
        if leaving and entry.acceptance.left_to_next:
            return replace(status, state=JobState.QUEUED)
        return status

    def _look_up(self, id: str, owner: str | None) -> JobStatus | JobRecord:
        """The status of a job that is not over, else its record. Raises `NotFound`. Requires the
        lock."""
        if entry := self._live.get((owner, id)):
            return self.status_of(entry)
        if record := self._kept.find(id, owner):
            return record
        if accepted := self._kept.accepted(id, owner):
            return of_accepted(accepted)
        raise NotFound("job", id)

    def _record(self, entry: Entry, state: JobState) -> JobRecord:
        job = entry.job
        return JobRecord(
            id=job.id,
            kind=job.kind,
            owner=job.owner,
            party=job.party,
            state=state.value,
            digest=entry.order.digest if entry.keep else "",
            progress=job.progress,
            queued_at=job.queued_at,
            started_at=job.started_at,
            finished_at=self._clock(),
        )

    def _tidy(self) -> None:
        """Delete what is outdated, and store what could not be stored before."""
        if self._kept.in_arrears:
            with self._lock:
                self._kept.catch_up(self._live)
        self._kept.sweep()
