"""What is stored of one job until it is over: that it was accepted, begun, cancelled."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from hexfusion.application.ports.jobs import AcceptedJob, JobRequest, JobStore, JobStoreError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Acceptance:
    """The stored record of one job, in order: nothing is written after the job was closed.

    `job` is the record, None while there is none; `begun` whether the work has begun. Thread-safe.
    """

    def __init__(self, store: JobStore, job: AcceptedJob | None = None) -> None:
        """`job` is the record if an earlier server stored it."""
        self.job = job
        self._store = store
        self._begun = False
        self._closed = False
        self._refused = ""
        self._lock = threading.Lock()

    @property
    def left_to_next(self) -> bool:
        """Whether the next server does the job, if this one does not."""
        return self.job is not None and not self.job.cancelled

    def accept(self, job: Callable[[], AcceptedJob], request: JobRequest) -> None:
        """Store `job()` with its request, unless it is stored or over.

        Raises `JobStoreError`, from then on always.
        """
        with self._lock:
            if self._refused:
                raise JobStoreError(self._refused)
            if self._closed or self.job:
                return
            accepted = msgspec.structs.replace(job(), begun=int(self._begun))
            try:
                self._store.accept(accepted, request)
            except JobStoreError as error:
                self._refused = str(error)
                raise
            self.job = accepted

    def begin(self) -> None:
        """Store that the work begins.

        Where this or a cancellation cannot be stored the job goes on all the same: at worst it is
        done again.
        """
        with self._lock:
            self._begun = True
            if self.job and not self._closed:
                self._note(msgspec.structs.replace(self.job, begun=self.job.begun + 1))

    def cancel(self) -> None:
        """Store that the job is wanted no more."""
        with self._lock:
            if self.job and not self._closed:
                self._note(msgspec.structs.replace(self.job, cancelled=True))

    def close(self, put: Callable[[], T]) -> T:
        """Store with `put` what came of the job. Who accepts it meanwhile waits for that."""
        with self._lock:
            self._closed = True
            return put()

    def _note(self, job: AcceptedJob) -> None:
        self.job = job
        try:
            self._store.note(job)
        except JobStoreError as error:
            log.error("what became of job %s cannot be stored: %s", job.id, error)
