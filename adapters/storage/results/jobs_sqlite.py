"""Store of jobs in a folder: an SQLite database, and a file for each request and each result.

The database (WAL mode, every commit synced) has a row per job, which names the job's one file with
its size and sha256: the request of an accepted job, the result of a finished one. Files get random
names and never change. One is written, synced and renamed before the row that names it, and deleted
after that row is gone; so at any moment each row has its file, and a file without a row is one that
a killed process left behind, which the next one sweeps away. See docs/adr/0024.

The lock of SQLite's exclusive locking mode keeps a second server out, and ends with the process.
"""

import errno
import hashlib
import logging
import os
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hexfusion.adapters.storage.atomic_write import UNFINISHED, write_chunks
from hexfusion.adapters.storage.results.bodies_files import IN_MEMORY, FileBody
from hexfusion.adapters.storage.results.jobs_before_sqlite import old_jobs
from hexfusion.application.ports.jobs import (
    AcceptedJob,
    Body,
    JobRecord,
    JobRequest,
    JobStoreError,
    ResultDamaged,
    whole,
)
from hexfusion.domain.errors import NotFound

log = logging.getLogger(__name__)

#: Version of the schema, in `PRAGMA user_version`.
VERSION = 1
_DATABASE = "jobs.sqlite3"
_SUFFIX = ".body"
_SCHEMA = """
    CREATE TABLE jobs (
        key TEXT PRIMARY KEY,       -- JSON of [owner, id]
        over INTEGER NOT NULL,      -- 1: job is a JobRecord; 0: an AcceptedJob
        job BLOB NOT NULL,          -- as JSON
        file TEXT NOT NULL UNIQUE,  -- name of its file
        size INTEGER NOT NULL,      -- of the file, bytes
        checksum TEXT NOT NULL      -- of the file, sha256
    )
"""
#: Pages of 4 KiB that the log grows to before it is written back.
_LOG = 256
#: Seconds that the lock of another process is waited for: it may be about to end.
_PATIENCE = 1.0


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    checksum: str


@dataclass(frozen=True)
class _Row:
    job: JobRecord | AcceptedJob
    file: _File


class SqliteJobs:
    """A `JobStore` in a folder, which one process uses at a time.

    Rows are also held in memory, so that reading them waits for no disk.
    """

    durable = True

    def __init__(self, folder: Path) -> None:
        """Open or create it. Raises `JobStoreError` if it cannot be written, is used by another
        process, or was written by a later version."""
        self._folder = folder
        self._lock = threading.Lock()  # of the rows in memory
        self._writing = threading.Lock()  # of the database; taken before the other
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._db = _opened(folder / _DATABASE)
            try:
                self._identity = _identity(folder / _DATABASE)
                self._rows = dict(_rows(self._db))
                self._adopt_old_files()
                self._sweep()
                self.probe()
            except BaseException:
                self._db.close()
                raise

    def accept(self, job: AcceptedJob, request: JobRequest) -> None:
        head = msgspec.json.encode([request.route, request.media_type])
        self._replace(_Row(job, self._write([head, b"\n", request.body])))

    def note(self, job: AcceptedJob) -> None:
        with self._lock:
            known = self._rows.get(_key(job.id, job.owner))
        if known and isinstance(known.job, AcceptedJob):
            self._replace(_Row(job, known.file), instead_of=known)

    def unfinished(self) -> Sequence[AcceptedJob]:
        with self._lock:
            found = [each.job for each in self._rows.values() if isinstance(each.job, AcceptedJob)]
        return sorted(found, key=lambda job: job.queued_at)

    def accepted(self, id: str, owner: str | None) -> AcceptedJob | None:
        with self._lock:
            row = self._rows.get(_key(id, owner))
        return row.job if row and isinstance(row.job, AcceptedJob) else None

    def request(self, job: AcceptedJob) -> JobRequest:
        with self._lock:
            row = self._rows.get(_key(job.id, job.owner))
        if row is None or not isinstance(row.job, AcceptedJob):
            raise NotFound("job", job.id)
        head, _, body = whole(self._read(row).chunks()).partition(b"\n")
        route, media_type = msgspec.json.decode(head, type=tuple[str, str | None])
        return JobRequest(route, body, media_type)

    def put(self, record: JobRecord, body: Body) -> None:
        self._replace(_Row(record, self._write(body.chunks())))

    def records(self) -> Sequence[JobRecord]:
        with self._lock:
            found = [each.job for each in self._rows.values() if isinstance(each.job, JobRecord)]
        return sorted(found, key=lambda record: record.finished_at)

    def find(self, id: str, owner: str | None) -> JobRecord | None:
        with self._lock:
            row = self._rows.get(_key(id, owner))
        return row.job if row and isinstance(row.job, JobRecord) else None

    def body(self, record: JobRecord) -> Body:
        row = self._row(record)
        if row is None:
            raise NotFound("job", record.id)
        try:
            return self._read(row)
        except ResultDamaged:
            if self._row(record) is None:  # another took its place meanwhile
                raise NotFound("job", record.id) from None
            raise

    def remove(self, record: JobRecord) -> None:
        key = _key(record.id, record.owner)
        with _told(self._folder), self._writing:
            row = self._row(record)
            if row is None:
                return
            self._commit("DELETE FROM jobs WHERE key = ?", key)
            with self._lock:
                del self._rows[key]
        self._unlink(row.file)

    def probe(self) -> None:
        with _told(self._folder):
            self._check_folder()
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                file.write(bytes(4096))

    def close(self) -> None:
        with self._writing:
            self._db.close()

    def _row(self, record: JobRecord) -> _Row | None:
        with self._lock:
            row = self._rows.get(_key(record.id, record.owner))
        return row if row and row.job == record else None

    def _replace(self, row: _Row, instead_of: _Row | None = None) -> None:
        """Commit a row, whose file is written; `instead_of` the row that has to be there."""
        key, file = _key(row.job.id, row.job.owner), row.file
        over, job = isinstance(row.job, JobRecord), msgspec.json.encode(row.job)
        try:
            with _told(self._folder), self._writing:
                with self._lock:
                    before = self._rows.get(key)
                if instead_of and before is not instead_of:
                    return
                columns = (key, over, job, file.name, file.size, file.checksum)
                self._commit("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?)", *columns)
                with self._lock:
                    self._rows[key] = row
        except JobStoreError:
            if instead_of is None:
                self._unlink(file)
            raise
        if before and before.file != file:
            self._unlink(before.file)

    def _commit(self, statement: str, *values: object) -> None:
        """Requires the lock of the database."""
        self._check_folder()
        try:
            self._db.execute(statement, values)
        except sqlite3.OperationalError:
            # A full disk: with the log written back, the next commit takes its beginning again.
            self._db.execute("PRAGMA wal_checkpoint(RESTART)")
            self._db.execute(statement, values)

    def _check_folder(self) -> None:
        """Raises OSError if the database is no longer in its folder: whatever was written to it
        would be gone with this process."""
        if _identity(self._folder / _DATABASE) != self._identity:
            path = str(self._folder / _DATABASE)
            raise FileNotFoundError(errno.ENOENT, "was replaced while the server ran", path)

    def _write(self, chunks: Iterable[bytes]) -> _File:
        name = secrets.token_hex(16) + _SUFFIX
        size, checksum = 0, hashlib.sha256()

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                checksum.update(chunk)
                yield chunk

        with _told(self._folder):
            self._check_folder()
            write_chunks(self._folder / name, counted(), replace=True)
        return _File(name, size, checksum.hexdigest())

    def _read(self, row: _Row) -> Body:
        """A file's content, checked. Raises `JobStoreError`, `ResultDamaged`."""
        file, id = row.file, row.job.id
        path = self._folder / file.name
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise ResultDamaged(f"what is stored of job {id!r} is missing: {path}") from None
        except OSError as error:
            raise JobStoreError(f"{path}: {error.strerror}") from error
        body = FileBody(descriptor, os.fstat(descriptor).st_size)
        held, checksum = [], hashlib.sha256()
        for chunk in body.chunks():
            checksum.update(chunk)
            if file.size <= IN_MEMORY:
                held.append(chunk)
        if body.size != file.size or checksum.hexdigest() != file.checksum:
            raise ResultDamaged(f"what is stored of job {id!r} is damaged: {path}")
        return whole(held) if file.size <= IN_MEMORY else body

    def _unlink(self, file: _File) -> None:
        try:
            (self._folder / file.name).unlink(missing_ok=True)
        except OSError as error:  # the next start tries again
            log.warning("cannot remove %s: %s", self._folder / file.name, error)

    def _sweep(self) -> None:
        """Delete what a killed process was writing; tell of files that are missing."""
        named = {row.file.name for row in self._rows.values()}
        for path in self._folder.iterdir():
            ours = path.suffix in (_SUFFIX, UNFINISHED) and path.is_file()
            if path.name in named:
                named.remove(path.name)
            elif ours:
                log.info("removing %s, which belongs to no job", path)
                path.unlink(missing_ok=True)
        for name in named:
            log.warning("%s is missing: what came of a job is lost", self._folder / name)

    def _adopt_old_files(self) -> None:
        """Take over the jobs that versions before this store left in the folder."""
        for path, record, body in old_jobs(self._folder):
            if _key(record.id, record.owner) not in self._rows:
                self.put(record, body)
            path.unlink()


def _key(id: str, owner: str | None) -> str:
    return msgspec.json.encode([owner, id]).decode()


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _opened(path: Path) -> sqlite3.Connection:
    """The database, locked and of this version. Raises `JobStoreError`, OSError, sqlite3.Error."""
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG}")
        db.execute("BEGIN EXCLUSIVE")  # takes the lock, which is kept from here on
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise JobStoreError(f"{path} was written by a later version of this server")
        if version == 0:
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _rows(db: sqlite3.Connection) -> Iterator[tuple[str, _Row]]:
    for key, over, job, *file in db.execute(
        "SELECT key, over, job, file, size, checksum FROM jobs"
    ):
        kind: type[JobRecord | AcceptedJob] = JobRecord if over else AcceptedJob
        yield key, _Row(msgspec.json.decode(job, type=kind), _File(*file))


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turns errors of files and database into `JobStoreError`."""
    try:
        yield
    except OSError as error:
        path = error.filename or folder
        raise JobStoreError(f"{path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        why = "another server uses it" if "locked" in str(error) else str(error)
        raise JobStoreError(f"{folder}: {why}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise JobStoreError(f"{folder / _DATABASE}: {error}") from error
