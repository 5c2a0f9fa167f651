"""Where jobs are kept: in memory, and in a folder over restarts."""

import errno
import hashlib
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from hexfusion.adapters.storage.from_flags import job_store
from hexfusion.adapters.storage.results import bodies_files
from hexfusion.adapters.storage.results.bodies_files import FileBody, spooled
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
from hexfusion.application.ports.jobs import BytesBody, JobStoreError, ResultDamaged
from hexfusion.application.ports.spool import SpoolError
from hexfusion.domain.errors import NotFound
from hexfusion.domain.flags import FlagError, parse_flags
from tests.contracts.job_store import (
    REQUEST,
    BodyContract,
    JobStoreContract,
    accepted,
    read,
    record,
)
from tests.open_files import nameless_files


class TestMemoryJobs(JobStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryJobs()


class TestSqliteJobs(JobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        store = SqliteJobs(tmp_path / "jobs")
        yield store
        store.close()


class TestBytesBody(BodyContract):
    @pytest.fixture
    def make(self):
        return BytesBody


class TestSpooledBody(BodyContract):
    @pytest.fixture
    def make(self):
        return lambda content: spooled(
            [content[: len(content) // 3], content[len(content) // 3 :]], most=1000
        )


class TestStoredBody(BodyContract):
    @pytest.fixture
    def make(self, tmp_path):
        store = SqliteJobs(tmp_path)

        def stored(content):
            store.put(record(), BytesBody(content))
            return store.body(record())

        yield stored
        store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def reopened(folder: Path):
    """A function that opens the store anew, having closed the one before."""
    opened = []

    def open_() -> SqliteJobs:
        for each in opened:
            each.close()
        opened.append(SqliteJobs(folder))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def bodies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith("jobs.sqlite3")]


def test_jobs_outlive_the_process(folder, reopened):
    kept, waiting = record("done", size=5, owner="ann"), accepted("waiting", begun=1)
    store = reopened()
    store.put(kept, BytesBody(b"a\nb\nc"))
    store.accept(waiting, REQUEST)
    again = reopened()
    assert list(again.records()) == [kept]
    assert read(again, kept) == b"a\nb\nc"
    assert list(again.unfinished()) == [waiting]
    assert again.request(waiting) == REQUEST
    again.remove(kept)
    again.put(record("waiting"), BytesBody())
    again.remove(record("waiting"))
    assert bodies(folder) == []
    assert list(reopened().records()) == []


def test_a_job_has_one_file(folder, reopened):
    """What was there before goes: the request with the result, a result with the next job's."""
    store = reopened()
    for _ in range(3):
        store.accept(accepted(), REQUEST)
        store.note(accepted(begun=1))
        assert len(bodies(folder)) == 1
        store.put(record(), BytesBody(b"{}"))
        assert len(bodies(folder)) == 1
    store.remove(record())
    assert bodies(folder) == []


@pytest.mark.parametrize("damage", ["cut short", "longer", "changed", "missing"])
@pytest.mark.parametrize("size", [100, 2**21])
def test_a_damaged_result_is_told_and_never_sent(folder, reopened, damage, size):
    store = reopened()
    store.put(record(size=size), BytesBody(b"x" * size))
    (path,) = bodies(folder)
    content = path.read_bytes()
    match damage:
        case "cut short":
            path.write_bytes(content[:-1])
        case "longer":
            path.write_bytes(content + b"x")
        case "changed":
            path.write_bytes(content[:50] + b"y" + content[51:])
        case "missing":
            path.unlink()
    for each in (store, reopened()):
        with pytest.raises(ResultDamaged, match="task\\(a\\)"):
            each.body(record(size=size))
        assert each.find("task(a)", None) == record(size=size)


def test_a_damaged_request_is_told(folder, reopened):
    store = reopened()
    store.accept(accepted(), REQUEST)
    (path,) = bodies(folder)
    path.write_bytes(path.read_bytes().replace(b"cat", b"dog"))
    with pytest.raises(ResultDamaged):
        store.request(accepted())


def test_what_a_killed_process_left_behind_is_swept_away(folder, reopened):
    store = reopened()
    store.put(record(), BytesBody(b"{}"))
    for name in (".0123456789abcdef.tmp", "0" * 32 + ".body", "x.tmp"):
        (folder / name).write_bytes(b"half a res")
    (folder / "notes.txt").write_text("the operator's own")
    store = reopened()
    assert read(store, record()) == b"{}"
    assert len(bodies(folder)) == 2
    assert (folder / "notes.txt").exists()


def test_a_second_server_is_kept_out(folder, reopened):
    reopened()
    with pytest.raises(JobStoreError, match="another server uses it"):
        SqliteJobs(folder)
    program = f"""
        from pathlib import Path
        from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
        SqliteJobs(Path({str(folder)!r}))
    """
    other = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert "another server uses it" in other.stderr


def test_a_killed_server_keeps_nobody_out(folder, reopened):
    program = f"""
        import os, signal
        from pathlib import Path
        from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
        from hexfusion.application.ports.jobs import BytesBody
        from tests.contracts.job_store import record
        store = SqliteJobs(Path({str(folder)!r}))
        store.put(record(), BytesBody(b"kept"))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)])
    assert read(reopened(), record()) == b"kept"


def flags(folder: Path):
    return parse_flags(["--job-dir", str(folder)], {}, absolute=os.path.abspath)


def test_a_folder_that_is_none_is_refused_at_start(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FlagError, match=f"--job-dir: {tmp_path / 'file'}"):
            job_store(flags(path))


def test_a_database_that_is_none_or_of_a_later_version_is_refused_at_start(tmp_path):
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(FlagError, match="not a database"):
        job_store(flags(tmp_path))
    (tmp_path / "jobs.sqlite3").unlink()
    job_store(flags(tmp_path)).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(FlagError, match="later version"):
        job_store(flags(tmp_path))


class Full:
    """A disk: writing fails from some moment on."""

    def __init__(self, monkeypatch, error: int) -> None:
        self.error, self.real = error, os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EFBIG])
def test_what_cannot_be_written_is_told_and_changes_nothing(folder, reopened, monkeypatch, error):
    store = reopened()
    store.put(record(digest="before"), BytesBody(b"before"))
    with monkeypatch.context() as patch:
        Full(patch, error)
        with pytest.raises(JobStoreError, match=os.strerror(error)):
            store.put(record(digest="after"), BytesBody(b"after"))
        with pytest.raises(JobStoreError, match=os.strerror(error)):
            store.accept(accepted("b"), REQUEST)
    assert [each.digest for each in store.records()] == ["before"]
    assert read(store, record(digest="before")) == b"before"
    assert list(store.unfinished()) == []
    assert len(bodies(folder)) == 1
    assert [each.digest for each in reopened().records()] == ["before"]


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_was_deleted_is_told_not_made_anew(folder, reopened, again):
    """What is written into a new one would be gone with the process: it has no database."""
    store = reopened()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    if again:
        SqliteJobs(folder).close()
    for write in (
        lambda: store.put(record(), BytesBody(b"x")),
        lambda: store.accept(accepted(), REQUEST),
        store.probe,
    ):
        with pytest.raises(JobStoreError, match="jobs"):
            write()
    assert folder.exists() is again
    assert list(store.records()) == []


def test_jobs_of_the_version_before_are_taken_over(folder, reopened):
    folder.mkdir()

    def old(kept, body: bytes) -> None:
        name = hashlib.sha256(msgspec.json.encode([kept.owner, kept.id])).hexdigest()
        (folder / f"{name}.job").write_bytes(msgspec.json.encode(kept) + b"\n" + body)

    big = b"ab\n" * 10**6
    old(record("small", size=3, owner="ann"), b"a\nb")
    old(record("large", size=len(big)), big)
    old(record("cut short", size=300), b"abc")
    (folder / "x.job").write_bytes(b"{")
    (folder / "v.job").mkdir()
    for store in (reopened(), reopened()):
        assert {each.id for each in store.records()} == {"small", "large"}
        assert read(store, record("small", size=3, owner="ann")) == b"a\nb"
        assert read(store, record("large", size=len(big))) == big
    left = {path.name for path in folder.glob("*.job")}
    assert len(left) == 3 and {"x.job", "v.job"} < left


# Bodies under way.


def test_a_large_body_is_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies_files.tempfile, "tempdir", str(tmp_path))
    before = nameless_files(tmp_path) if sys.platform == "linux" else 0
    body = spooled((b"x" * 1000 for _ in range(100)), most=5000)
    assert isinstance(body, FileBody)
    assert list(tmp_path.iterdir()) == []
    reader = body.chunks()
    assert next(reader).startswith(b"xxx")
    del body
    assert len(b"".join(reader)) >= 0  # who still reads it keeps it
    del reader
    if sys.platform == "linux":
        assert nameless_files(tmp_path) == before


def test_a_small_body_is_in_memory():
    assert isinstance(spooled([b"x"] * 10, most=10), BytesBody)


@pytest.mark.parametrize("after", [0, 3])
def test_where_no_file_can_be_written_memory_has_to_do(monkeypatch, after):
    content = [bytes([number]) * 1000 for number in range(10)]
    written = []
    real = os.pwrite

    def fails(descriptor, data, at):
        written.append(at)
        if len(written) > after:
            raise OSError(errno.ENOSPC, "no space")
        return real(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", fails)
    body = spooled(iter(content), most=1500)
    assert b"".join(body.chunks()) == b"".join(content)


def test_a_reply_that_is_too_large_for_memory_is_refused_where_no_file_can_be_made(
    monkeypatch, tmp_path
):
    """Memory stands in for the disk, but not for gigabytes."""
    monkeypatch.setattr(bodies_files, "INSTEAD", 5000)
    gone = tmp_path / "gone"
    assert spooled([b"x" * 2000] * 2, most=1000, folder=gone).size == 4000
    with pytest.raises(SpoolError, match="No such file"):
        spooled([b"x" * 2000] * 3, most=1000, folder=gone)


def test_no_descriptor_is_left_where_the_chunks_fail(tmp_path):
    def chunks():
        yield b"x" * 2000
        yield b"x" * 2000
        raise ValueError("no picture")

    before = nameless_files(tmp_path)
    with pytest.raises(ValueError, match="no picture"):
        spooled(chunks(), most=1000, folder=tmp_path)
    assert nameless_files(tmp_path) == before


def test_a_result_removed_meanwhile_is_not_found(reopened):
    store = reopened()
    store.put(record(), BytesBody(b"x"))
    store.remove(record())
    with pytest.raises(NotFound):
        store.body(record())
