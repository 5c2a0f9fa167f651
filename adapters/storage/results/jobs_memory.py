"""In-memory store of jobs; the counterpart of `jobs_sqlite`."""

import threading
from collections.abc import Sequence

from hexfusion.application.ports.jobs import (
    AcceptedJob,
    Body,
    BytesBody,
    JobRecord,
    JobRequest,
    whole,
)
from hexfusion.domain.errors import NotFound

_Key = tuple[str | None, str]


class MemoryJobs:
    """A `JobStore` in a dictionary.

    `durable` is for tests: as if the dictionary outlived the process.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self._kept: dict[_Key, tuple[JobRecord, BytesBody] | tuple[AcceptedJob, JobRequest]] = {}
        self._lock = threading.Lock()

    def accept(self, job: AcceptedJob, request: JobRequest) -> None:
        with self._lock:
            self._kept[job.owner, job.id] = job, request

    def note(self, job: AcceptedJob) -> None:
        with self._lock:
            match self._kept.get((job.owner, job.id)):
                case AcceptedJob(), JobRequest() as request:
                    self._kept[job.owner, job.id] = job, request

    def unfinished(self) -> Sequence[AcceptedJob]:
        with self._lock:
            found = [job for job, _ in self._kept.values() if isinstance(job, AcceptedJob)]
        return sorted(found, key=lambda job: job.queued_at)

    def accepted(self, id: str, owner: str | None) -> AcceptedJob | None:
        with self._lock:
            kept = self._kept.get((owner, id))
        return kept[0] if kept and isinstance(kept[0], AcceptedJob) else None

    def request(self, job: AcceptedJob) -> JobRequest:
        with self._lock:
            kept = self._kept.get((job.owner, job.id))
        match kept:
            case AcceptedJob(), JobRequest() as request:
                return request
        raise NotFound("job", job.id)

    def put(self, record: JobRecord, body: Body) -> None:
        kept = whole(body.chunks())
        with self._lock:
            self._kept[record.owner, record.id] = record, kept

    def records(self) -> Sequence[JobRecord]:
        with self._lock:
            records = [job for job, _ in self._kept.values() if isinstance(job, JobRecord)]
        return sorted(records, key=lambda record: record.finished_at)

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        with self._lock:
            kept = self._kept.get((owner, id))
        return kept[0] if kept and isinstance(kept[0], JobRecord) else None

    def body(self, record: JobRecord) -> Body:
        with self._lock:
            kept = self._kept.get((record.owner, record.id))
        match kept:
            case JobRecord() as found, BytesBody() as body if found == record:
                return body
        raise NotFound("job", record.id)

    def remove(self, record: JobRecord) -> None:
        with self._lock:
            kept = self._kept.get((record.owner, record.id))
            if kept and kept[0] == record:
                del self._kept[record.owner, record.id]

    def probe(self) -> None:
        pass

    def close(self) -> None:
        pass
