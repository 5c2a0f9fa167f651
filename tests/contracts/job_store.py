"""What every store of finished jobs must do. Subclass it where the implementation's tests are."""

import threading

import pytest

from hexfusion.application.ports.jobs import JobRecord
from hexfusion.domain.errors import NotFound


def record(id: str = "task(a)", **fields) -> JobRecord:
    given = {"kind": "txt2img", "state": "done", "queued_at": 1.5, "finished_at": 2.5, **fields}
    return JobRecord(id=id, **given)


class JobStoreContract:
    """Subclasses give the fixture `store`, an empty one."""

    def test_an_empty_store_has_no_jobs(self, store):
        assert list(store.records()) == []
        assert store.find("task(a)", None) is None
        with pytest.raises(NotFound):
            store.body(record())
        store.remove(record())

    @pytest.mark.parametrize("body", [b"", b'{"images":[]}', b"\n\n\x00\xff\n", b"x" * 2**20])
    def test_what_is_put_comes_back(self, store, body):
        kept = record(size=len(body), owner="ann", kept="result", started_at=2.0, digest="d")
        store.put(kept, body)
        assert store.find("task(a)", "ann") == kept
        assert store.body(kept) == body
        assert list(store.records()) == [kept]

    @pytest.mark.parametrize("id", ["../../a", "a/b", "a\0b", "ž" * 300, "", "a\nb"])
    def test_an_id_is_any_text(self, store, id):
        store.put(record(id, size=1), b"x")
        assert store.find(id, None) == record(id, size=1)
        assert store.body(record(id, size=1)) == b"x"

    def test_a_job_takes_the_place_of_the_one_before(self, store):
        before, after = record(size=1), record(size=2, finished_at=9.0)
        store.put(before, b"1")
        store.put(after, b"22")
        assert list(store.records()) == [after]
        assert store.body(after) == b"22"
        with pytest.raises(NotFound):
            store.body(before)
        store.remove(before)
        assert store.find("task(a)", None) == after

    def test_the_same_id_is_another_job_for_another_owner(self, store):
        jobs = [record(owner=owner, size=1) for owner in (None, "", "ann", "bob")]
        for number, job in enumerate(jobs):
            store.put(job, b"%d" % number)
        for number, job in enumerate(jobs):
            assert store.find("task(a)", job.owner) == job
            assert store.body(job) == b"%d" % number
        store.remove(jobs[2])
        assert store.find("task(a)", "ann") is None
        assert store.find("task(a)", "bob") == jobs[3]

    def test_first_finished_comes_first(self, store):
        for second in (5, 1, 3):
            store.put(record(str(second), finished_at=float(second)), b"")
        assert [each.id for each in store.records()] == ["1", "3", "5"]

    def test_many_may_write_at_once(self, store):
        def put(number: int) -> None:
            body = b"%d" % number
            store.put(record(str(number), size=len(body)), body)
            store.put(record("same", digest=str(number), size=len(body)), body)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(store.records()) == 9
        for number in range(8):
            assert store.body(store.find(str(number), None)) == b"%d" % number
        same = store.find("same", None)
        assert store.body(same) == same.digest.encode()
