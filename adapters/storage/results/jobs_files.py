"""Store of finished jobs in a folder, one file per job; persistent."""

import hashlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.application.ports.jobs import JobRecord, JobStoreError
from hexfusion.domain.errors import NotFound

log = logging.getLogger(__name__)

_SUFFIX = ".job"
#: Longest first line (the record as JSON), in bytes.
_HEAD = 64 * 1024


class FileJobs:
    """A `JobStore` in a folder. A file consists of the record as JSON, a line break, and the
    result.

    File names are hashes, since ids are chosen by clients. The folder must be used by one process
    only; it is read once, at the first use. Damaged files are ignored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._records: dict[Path, JobRecord] | None = None

    def put(self, record: JobRecord, body: bytes) -> None:
        path = self._path(record.id, record.owner)
        with self._lock:
            known = self._load()
            try:
                write_atomically(path, msgspec.json.encode(record) + b"\n" + body)
            except OSError as error:
                raise JobStoreError(f"{path}: {error.strerror or error}") from error
            known[path] = record

    def records(self) -> Sequence[JobRecord]:
        with self._lock:
            return sorted(self._load().values(), key=lambda record: record.finished_at)

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        with self._lock:
            return self._load().get(self._path(id, owner))

    def body(self, record: JobRecord) -> bytes:
        path = self._path(record.id, record.owner)
        with self._lock:
            if self._load().get(path) != record:
                raise NotFound("job", record.id)
            try:
                return path.read_bytes().partition(b"\n")[2]
            except FileNotFoundError:
                raise NotFound("job", record.id) from None
            except OSError as error:
                raise JobStoreError(f"{path}: {error.strerror or error}") from error

    def remove(self, record: JobRecord) -> None:
        path = self._path(record.id, record.owner)
        with self._lock:
            if self._load().get(path) == record:
                self._load().pop(path)
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    log.warning("cannot remove %s: %s", path, error)

    def _path(self, id: str, owner: str | None) -> Path:
        key = msgspec.json.encode([owner, id])
        return self._folder / (hashlib.sha256(key).hexdigest() + _SUFFIX)

    def _load(self) -> dict[Path, JobRecord]:
        if self._records is None:
            found = ((path, _read(path)) for path in self._folder.glob("*" + _SUFFIX))
            self._records = {path: record for path, record in found if record}
        return self._records


def _read(path: Path) -> JobRecord | None:
    try:
        with path.open("rb") as file:
            head = file.readline(_HEAD)
            record = msgspec.json.decode(head, type=JobRecord)
            if path.stat().st_size != len(head) + record.size:
                raise ValueError("it is not whole")
    except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        log.warning("ignoring %s: %s", path, error)
        return None
    return record
