"""What every store of jobs, and every body of a reply, must do.

Subclass them where the implementation's tests are.
"""

import threading

import pytest

from hexfusion.application.ports.jobs import AcceptedJob, BytesBody, JobRecord, JobRequest
from hexfusion.domain.errors import NotFound


def record(id: str = "task(a)", **fields) -> JobRecord:
    given = {"kind": "txt2img", "state": "done", "queued_at": 1.5, "finished_at": 2.5, **fields}
    return JobRecord(id=id, **given)


def accepted(id: str = "task(a)", **fields) -> AcceptedJob:
    return AcceptedJob(id=id, **{"kind": "txt2img", "queued_at": 1.5, **fields})


REQUEST = JobRequest("/sdapi/v1/txt2img", b'{"prompt": "a\\ncat"}\n\x00\xff', "application/json")


def read(store, kept: JobRecord) -> bytes:
    return b"".join(store.body(kept).chunks())


class BodyContract:
    """Subclasses give the fixture `make`: a body of bytes."""

    @pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 20_000])
    def test_it_is_read_as_often_as_one_likes(self, make, content):
        body = make(content)
        assert body.size == len(content)
        assert b"".join(body.chunks()) == content
        assert b"".join(body.chunks()) == content

    def test_readers_do_not_disturb_each_other(self, make):
        content = bytes(range(256)) * 20_000
        body = make(content)
        first, seen = body.chunks(), []
        seen.append(next(first))
        assert b"".join(body.chunks()) == content
        assert b"".join([*seen, *first]) == content


class JobStoreContract:
    """Subclasses give the fixture `store`, an empty one."""

    def test_an_empty_store_has_no_jobs(self, store):
        assert list(store.records()) == []
        assert list(store.unfinished()) == []
        assert store.find("task(a)", None) is None
        assert store.accepted("task(a)", None) is None
        with pytest.raises(NotFound):
            store.body(record())
        with pytest.raises(NotFound):
            store.request(accepted())
        store.remove(record())
        store.note(accepted())
        assert list(store.unfinished()) == []

    def test_it_can_be_written(self, store):
        store.probe()

    @pytest.mark.parametrize("body", [b"", b'{"images":[]}', b"\n\n\x00\xff\n", b"x" * 2**21])
    def test_what_is_put_comes_back(self, store, body):
        kept = record(size=len(body), owner="ann", kept="result", started_at=2.0, digest="d")
        store.put(kept, BytesBody(body))
        assert store.find("task(a)", "ann") == kept
        assert read(store, kept) == body
        assert store.body(kept).size == len(body)
        assert list(store.records()) == [kept]

    @pytest.mark.parametrize("id", ["../../a", "a/b", "a\0b", "ž" * 300, "", "a\nb"])
    def test_an_id_is_any_text(self, store, id):
        store.put(record(id, size=1), BytesBody(b"x"))
        assert store.find(id, None) == record(id, size=1)
        assert read(store, record(id, size=1)) == b"x"
        store.accept(accepted(id), REQUEST)
        assert store.accepted(id, None) == accepted(id)

    def test_a_job_takes_the_place_of_the_one_before(self, store):
        before, after = record(size=1), record(size=2, finished_at=9.0)
        store.put(before, BytesBody(b"1"))
        store.put(after, BytesBody(b"22"))
        assert list(store.records()) == [after]
        assert read(store, after) == b"22"
        with pytest.raises(NotFound):
            store.body(before)
        store.remove(before)
        assert store.find("task(a)", None) == after

    def test_the_same_id_is_another_job_for_another_owner(self, store):
        jobs = [record(owner=owner, size=1) for owner in (None, "", "ann", "bob")]
        for number, job in enumerate(jobs):
            store.put(job, BytesBody(b"%d" % number))
        for number, job in enumerate(jobs):
            assert store.find("task(a)", job.owner) == job
            assert read(store, job) == b"%d" % number
        store.remove(jobs[2])
        assert store.find("task(a)", "ann") is None
        assert store.find("task(a)", "bob") == jobs[3]

    def test_first_finished_comes_first(self, store):
        for second in (5, 1, 3):
            store.put(record(str(second), finished_at=float(second)), BytesBody())
        assert [each.id for each in store.records()] == ["1", "3", "5"]

    def test_an_accepted_job_is_kept_with_its_request(self, store):
        job = accepted(owner="ann", digest="d")
        store.accept(job, REQUEST)
        assert store.accepted("task(a)", "ann") == job
        assert store.accepted("task(a)", None) is None
        assert store.request(job) == REQUEST
        assert list(store.unfinished()) == [job]
        assert list(store.records()) == []
        assert store.find("task(a)", "ann") is None

    def test_how_far_it_has_come_is_noted(self, store):
        store.accept(accepted(), REQUEST)
        store.note(accepted(begun=1))
        store.note(accepted(begun=2, cancelled=True))
        assert list(store.unfinished()) == [accepted(begun=2, cancelled=True)]
        assert store.request(accepted()) == REQUEST

    def test_first_accepted_comes_first(self, store):
        for second in (5, 1, 3):
            store.accept(accepted(str(second), queued_at=float(second)), REQUEST)
        store.note(accepted("1", queued_at=1.0, begun=1))
        assert [each.id for each in store.unfinished()] == ["1", "3", "5"]

    def test_it_is_accepted_or_finished_and_never_both(self, store):
        store.put(record(size=1), BytesBody(b"x"))
        store.accept(accepted(), REQUEST)
        assert store.find("task(a)", None) is None
        with pytest.raises(NotFound):
            store.body(record(size=1))
        store.remove(record(size=1))
        assert list(store.unfinished()) == [accepted()]
        store.put(record(size=1), BytesBody(b"y"))
        assert list(store.unfinished()) == []
        store.note(accepted(begun=1))
        assert read(store, record(size=1)) == b"y"
        with pytest.raises(NotFound):
            store.request(accepted())

    def test_many_may_write_at_once(self, store):
        def put(number: int) -> None:
            body = BytesBody(b"%d" % number)
            store.accept(accepted(str(number)), REQUEST)
            store.put(record(str(number), size=len(body)), body)
            store.put(record("same", digest=str(number), size=len(body)), body)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(store.records()) == 9
        for number in range(8):
            assert read(store, store.find(str(number), None)) == b"%d" % number
        same = store.find("same", None)
        assert read(store, same) == same.digest.encode()

    def test_it_may_be_closed_twice(self, store):
        store.close()
        store.close()
