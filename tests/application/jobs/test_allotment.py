"""How many of a few places one party may hold."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.application.jobs.allotment import Allotment, shared, unshared


def taken(allotment: Allotment, *asking: str) -> Counter[str]:
    """Who has how many, after these asked one after the other."""
    held: Counter[str] = Counter()
    for party in asking:
        if not allotment.full(held) and not allotment.exceeded(held, party):
            held[party] += 1
    return held


@pytest.mark.parametrize(("places", "each"), [(1, 1), (2, 1), (4, 3), (5, 3), (32, 24), (100, 75)])
def test_a_flood_of_one_takes_three_quarters(places, each):
    assert taken(shared(places), *["ann"] * 500) == {"ann": each}


def test_floods_of_two_leave_places_for_four_more():
    flood = ["ann"] * 500 + ["bob"] * 500
    assert taken(shared(32), *flood) == {"ann": 24, "bob": 4}
    late = [f"late {number}" for number in range(6)]
    assert taken(shared(32), *flood, *late) == Counter(ann=24, bob=4) + Counter(late[:4])


@given(st.integers(0, 40), st.integers(0, 40), st.lists(st.sampled_from("abc"), max_size=80))
def test_others_always_find_a_place(places, each, asking):
    """Whoever has asked for however much, alone or with two more."""
    allotment = shared(places, each)
    held = taken(allotment, *asking)
    assert held.total() <= places
    assert all(number <= allotment.each for number in held.values())
    if each < places:
        alone = taken(allotment, *(each for each in asking if each == "a"))
        if places >= 2:
            assert taken(allotment, *alone.elements(), "new")["new"] == 1
        if allotment.spare > 2:
            assert taken(allotment, *held.elements(), "new")["new"] == 1


def test_where_one_may_have_all_nothing_is_kept_back():
    assert taken(shared(32, 32), *["ann"] * 40) == {"ann": 32}
    assert taken(shared(32), *[""] * 40) == {"": 32}  # callers in Python, who share with nobody
    assert taken(unshared(3), *["ann"] * 40) == {"ann": 3}
