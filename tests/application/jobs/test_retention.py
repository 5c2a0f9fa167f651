"""How long finished jobs are kept."""

import pytest

from hexfusion.application.jobs.retention import Retention
from tests.contracts.job_store import record

#: Finished at 10, 20, 30, 40 with a byte, two, three, four.
JOBS = [record(str(n), finished_at=10.0 * n, size=n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("retention", "now", "gone"),
    [
        (Retention(seconds=100), 50, []),
        (Retention(seconds=30), 49.9, ["1"]),
        (Retention(seconds=30), 50, ["1", "2"]),
        (Retention(seconds=30), 1000, ["1", "2", "3", "4"]),
        (Retention(jobs=2), 50, ["1", "2"]),
        (Retention(jobs=4), 50, []),
        (Retention(bytes=10), 50, []),
        (Retention(bytes=9), 50, ["1"]),
        (Retention(bytes=4), 50, ["1", "2", "3"]),
        (Retention(bytes=3), 50, ["1", "2", "3", "4"]),
        (Retention(seconds=30, jobs=2), 49.9, ["1", "2"]),
        (Retention(seconds=30, bytes=4), 50, ["1", "2", "3"]),
    ],
)
def test_what_is_let_go_of(retention, now, gone):
    assert sorted(each.id for each in retention.outdated(JOBS, now)) == gone
