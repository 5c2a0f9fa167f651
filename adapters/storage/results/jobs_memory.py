"""In-memory store of finished jobs; the counterpart of `jobs_files`."""

import threading
from collections.abc import Sequence

from hexfusion.application.ports.jobs import JobRecord
from hexfusion.domain.errors import NotFound


class MemoryJobs:
    """A `JobStore` in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str | None, str], tuple[JobRecord, bytes]] = {}
        self._lock = threading.Lock()

    def put(self, record: JobRecord, body: bytes) -> None:
        with self._lock:
            self._kept[record.owner, record.id] = record, body

    def records(self) -> Sequence[JobRecord]:
        with self._lock:
            records = [record for record, _ in self._kept.values()]
        return sorted(records, key=lambda record: record.finished_at)

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        with self._lock:
            kept = self._kept.get((owner, id))
        return kept[0] if kept else None

    def body(self, record: JobRecord) -> bytes:
        with self._lock:
            kept = self._kept.get((record.owner, record.id))
        if kept is None or kept[0] != record:
            raise NotFound("job", record.id)
        return kept[1]

    def remove(self, record: JobRecord) -> None:
        with self._lock:
            kept = self._kept.get((record.owner, record.id))
            if kept and kept[0] == record:
                del self._kept[record.owner, record.id]
