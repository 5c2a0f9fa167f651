"""How long finished jobs are kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


# Several parties.


def of(party: str, number: int, size: int = 1, at: float | None = None, owner: str | None = None):
    finished = float(number) if at is None else at
    return record(f"{party}{number}", party=party, owner=owner, size=size, finished_at=finished)


def ids(records):
    return [each.id for each in records]


def test_many_tiny_jobs_of_one_take_nothing_from_another():
    """205 of ann's after bob's one, with room for 200: it was his that went."""
    bobs = of("bob", 0)
    anns = [of("ann", number) for number in range(1, 206)]
    gone = Retention(jobs=200).outdated([bobs, *anns], 300.0)
    assert ids(gone) == ids(anns[:5])


def test_large_results_of_one_take_nothing_from_another():
    bobs = of("bob", 0, size=40)
    anns = [of("ann", number, size=30) for number in range(1, 6)]
    assert ids(Retention(bytes=100).outdated([bobs, *anns], 10.0)) == ["ann1", "ann2", "ann3"]


def test_of_equally_large_ones_the_oldest_goes():
    records = [of(party, number, size=5) for number, party in enumerate("badc")]
    assert ids(Retention(bytes=15).outdated(records, 10.0)) == ["b0"]


@pytest.mark.parametrize("bound", [Retention(jobs=1, bytes=5), Retention(jobs=1, all_jobs=1)])
def test_also_where_who_came_first_has_lost_theirs_already(bound):
    records = [of("a", 0, size=5), of("b", 1, size=5), of("a", 2, size=5)]
    assert ids(bound.outdated(records, 10.0)) == ["a0", "b1"]


def test_of_many_addresses_that_keep_one_each_the_oldest_go():
    """A bound on how many parties there are."""
    records = [of(f"address 10.0.0.{number}", number) for number in range(30)]
    assert Retention(all_jobs=10).outdated(records, 50.0) == records[:20]


def test_logins_count_by_their_name_also_in_records_from_before():
    old = [record(str(n), owner="ann", finished_at=float(n)) for n in range(3)]
    new = [of("user ann", number, owner="ann") for number in range(3, 5)]
    assert ids(Retention(jobs=3).outdated([*old, *new], 9.0)) == ["0", "1"]


KEPT = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.floats(0, 100)), max_size=30
).map(
    lambda drawn: [
        of(p, n, size=s, at=t) for n, (p, s, t) in enumerate(sorted(drawn, key=lambda d: d[2]))
    ]
)


@settings(max_examples=300)
@given(KEPT, st.integers(1, 8), st.integers(0, 60), st.integers(1, 20), st.floats(10, 200))
def test_the_bounds_hold_and_nobody_loses_what_is_within_their_share(
    records, jobs, bytes, all_jobs, seconds
):
    now = 100.0
    retention = Retention(seconds=seconds, jobs=jobs, bytes=bytes, all_jobs=all_jobs)
    gone = retention.outdated(records, now)
    assert len({id(each) for each in gone}) == len(gone)
    left = [each for each in records if each not in gone]
    alive = [each for each in records if now < retention.until(each)]
    assert len(left) <= all_jobs and sum(each.size for each in left) <= bytes
    parties = {each.party for each in alive}
    for party in parties:
        mine = [each for each in alive if each.party == party]
        stay = [each for each in left if each.party == party]
        assert len(stay) <= jobs
        assert stay == mine[len(mine) - len(stay) :]  # the latest
        small = sum(each.size for each in mine) <= bytes / len(parties)
        if len(mine) <= min(jobs, all_jobs / len(parties)) and small:
            assert stay == mine
