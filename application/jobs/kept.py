"""What is kept of jobs: accepted ones until they are over, finished ones by the retention.

What cannot be stored is held in memory as the failure that it is, so that whoever asks for the job
is told why there is nothing.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection

import msgspec

from hexfusion.application.jobs.job import Clock, JobState
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.ports.jobs import (
    AcceptedJob,
    Body,
    BytesBody,
    JobRecord,
    JobStore,
    JobStoreError,
    ResultDamaged,
)
from hexfusion.domain.errors import ResultTooLarge

log = logging.getLogger(__name__)

#: The JSON in which a job's error is told.
Explain = Callable[[Exception], bytes]


class KeptJobs:
    """Accepted and finished jobs by owner and id. Thread-safe.

    A finished job that is outdated is not found, whether or not it is deleted already.
    """

    def __init__(
        self, store: JobStore, clock: Clock, retention: Retention, explain: Explain
    ) -> None:
        self.store = store
        self.retention = retention
        self._clock = clock
        self._explain = explain
        self._lock = threading.Lock()
        self._unstored: dict[tuple[str | None, str], tuple[JobRecord, BytesBody]] = {}

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        """The owner's finished job, None if there is none or it is outdated."""
        with self._lock:
            unstored = self._unstored.get((owner, id))
        record = unstored[0] if unstored else self.store.find(id, owner)
        return record if record and self._clock() < self.retention.until(record) else None

    def body(self, record: JobRecord) -> Body:
        """The result or error of a finished job.

        Raises `NotFound` if another job took its place, `JobStoreError`. A damaged one is from then
        on a job that failed for it; the `ResultDamaged` is raised once.
        """
        with self._lock:
            unstored = self._unstored.get((record.owner, record.id))
        if unstored and unstored[0] == record:
            return unstored[1]
        try:
            return self.store.body(record)
        except ResultDamaged as error:
            log.error("%s", error)
            if self.store.find(record.id, record.owner) == record:
                self.put(_failed(record), error=error)
            raise

    def records(self) -> list[JobRecord]:
        """The finished jobs of all owners, oldest first."""
        with self._lock:
            unstored = {key: record for key, (record, _) in self._unstored.items()}
        stored = {(each.owner, each.id): each for each in self.store.records()}
        now = self._clock()
        return sorted(
            (each for each in {**stored, **unstored}.values() if now < self.retention.until(each)),
            key=lambda record: record.finished_at,
        )

    def put(
        self,
        record: JobRecord,
        body: Body | None = None,
        error: Exception | None = None,
        explain: Explain | None = None,
    ) -> JobRecord:
        """Keep what came of a job: its result or its error. Returns what is kept in fact.

        A result that is too large, or that cannot be stored, makes it a failure. `explain` tells
        errors as the job's order does.
        """
        if error is None and body is not None and body.size > self.retention.bytes:
            record, error = _failed(record), ResultTooLarge(body.size, self.retention.bytes)
        if error is None and body is not None:
            record = msgspec.structs.replace(record, kept="result", size=body.size)
            try:
                self.store.put(record, body)
            except JobStoreError as failure:
                log.error("the result of job %s is lost: %s", record.id, failure)
                record, error = _failed(record), failure
            else:
                self._settle(record)
                return record
        assert error is not None
        told = BytesBody((explain or self._explain)(error))
        record = msgspec.structs.replace(record, kept="error", size=told.size)
        try:
            self.store.put(record, told)
        except JobStoreError as failure:
            log.error("that job %s is over cannot be stored: %s", record.id, failure)
            with self._lock:
                self._unstored[record.owner, record.id] = record, told
        else:
            self._settle(record)
        return record

    def accepted(self, id: str, owner: str | None) -> AcceptedJob | None:
        """The owner's job that is stored as accepted, unless it is over and only that could not be
        stored."""
        with self._lock:
            return None if (owner, id) in self._unstored else self.store.accepted(id, owner)

    def unfinished(self) -> list[AcceptedJob]:
        """All that are stored as accepted, and are not over."""
        with self._lock:
            unstored = set(self._unstored)
        return [each for each in self.store.unfinished() if (each.owner, each.id) not in unstored]

    def remove(self, record: JobRecord) -> None:
        """Delete a finished job. Raises `JobStoreError`."""
        with self._lock:
            unstored = self._unstored.get((record.owner, record.id))
        if unstored is None or unstored[0] != record:
            self.store.remove(record)
            return
        if self.store.accepted(record.id, record.owner):  # a restart would do it
            raise JobStoreError(f"it cannot be stored yet that job {record.id} is over")
        self._settle(record)

    def sweep(self) -> None:
        """Delete the jobs that are outdated, as far as that can be stored."""
        with self._lock:
            unstored = [record for record, _ in self._unstored.values()]
        records = sorted([*self.store.records(), *unstored], key=lambda record: record.finished_at)
        for record in self.retention.outdated(records, self._clock()):
            with contextlib.suppress(JobStoreError):
                self.remove(record)

    @property
    def in_arrears(self) -> bool:
        """Whether there are jobs of which it could not be stored yet that they are over."""
        with self._lock:
            return bool(self._unstored)

    def catch_up(self, live: Collection[tuple[str | None, str]]) -> None:
        """Store what could not be stored before, if it can be now.

        Not of the jobs `live`, which took the places of the ones before; none may do so meanwhile.
        """
        with self._lock:
            unstored = [kept for key, kept in self._unstored.items() if key not in live]
        for record, told in unstored:
            try:
                self.store.put(record, told)
            except JobStoreError:
                return
            self._settle(record)

    def _settle(self, record: JobRecord) -> None:
        """What could not be stored of an earlier job of that name is of no interest any more."""
        with self._lock:
            self._unstored.pop((record.owner, record.id), None)


def _failed(record: JobRecord) -> JobRecord:
    return msgspec.structs.replace(record, state=JobState.FAILED.value)
