"""Where finished jobs are kept."""

import pytest

from hexfusion.adapters.storage.results.jobs_files import FileJobs
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.application.ports.jobs import JobStoreError
from hexfusion.domain.errors import NotFound
from tests.contracts.job_store import JobStoreContract, record


class TestMemoryJobs(JobStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryJobs()


class TestFileJobs(JobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FileJobs(tmp_path / "jobs")


def test_results_outlive_the_process(tmp_path):
    kept = record(size=5, owner="ann")
    FileJobs(tmp_path).put(kept, b"a\nb\nc")
    again = FileJobs(tmp_path)
    assert list(again.records()) == [kept]
    assert again.body(kept) == b"a\nb\nc"
    again.remove(kept)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_count_as_none(tmp_path):
    FileJobs(tmp_path).put(record("whole", size=3), b"abc")
    FileJobs(tmp_path).put(record("cut short", size=300), b"abc")
    (tmp_path / "x.job").write_bytes(b"{")
    (tmp_path / "y.job").write_bytes(b"")
    (tmp_path / "z.job").write_bytes(b'{"id": 5}\n')
    (tmp_path / "v.job").mkdir()
    store = FileJobs(tmp_path)
    assert [each.id for each in store.records()] == ["whole"]


def test_a_file_that_someone_removed_is_not_found(tmp_path):
    store = FileJobs(tmp_path)
    store.put(record(size=1), b"x")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(NotFound):
        store.body(record(size=1))


def test_where_nothing_can_be_written_it_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = FileJobs(tmp_path / "file")
    with pytest.raises(JobStoreError, match="file"):
        store.put(record(), b"")
    assert list(store.records()) == []
