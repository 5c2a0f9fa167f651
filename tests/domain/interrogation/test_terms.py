"""Lists of terms, and which are told (spec images.md 12.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.interrogation import TermList, TermSettings, best, term_list, with_matches

LINES = "oil on canvas\n  a sketch \n\na photo\n"


@pytest.mark.parametrize(
    ("name", "category", "top"),
    [
        ("mediums", "mediums", 1),
        ("flavors.top3", "flavors", 3),
        ("a.top10", "a", 10),
        ("a.top", "a.top", 1),
        ("top3", "top3", 1),
        ("a.top3.txt", "a.top3.txt", 1),
    ],
)
def test_a_name_tells_how_many(name, category, top):
    assert term_list(name, LINES, TermSettings()) == TermList(
        category, ("oil on canvas", "a sketch", "a photo"), top
    )


@pytest.mark.parametrize(("limit", "count"), [(0, 3), (1, 1), (2, 2), (3, 2), (4, 3), (1500, 3)])
def test_only_so_many_lines_are_read_and_an_empty_one_is_a_line(limit, count):
    read = term_list("a", LINES, TermSettings(limit=limit))
    assert read is not None and len(read.terms) == count


@pytest.mark.parametrize(
    ("name", "skipped"), [("flavors", True), ("flavors.top3", True), ("artists", False)]
)
def test_categories_are_skipped_by_name(name, skipped):
    settings = TermSettings(skip=("flavors", "movements"))
    assert (term_list(name, LINES, settings) is None) == skipped
    whole = TermSettings(skip=(name,))
    assert term_list(name, LINES, whole) is None


def test_the_best_come_first():
    terms = TermList("a", ("x", "y", "z"), 2)
    assert best(terms, [0.2, 0.7, 0.1]) == [("y", 0.7), ("x", 0.2)]
    assert best(TermList("a", ("x",), 5), [1.0]) == [("x", 1.0)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 25))
def test_no_term_that_is_left_out_fits_better(probabilities, top):
    terms = TermList("a", tuple(map(str, range(len(probabilities)))), top)
    told = best(terms, probabilities)
    assert len(told) == min(top, len(probabilities))
    values = [value for _, value in told]
    assert values == sorted(probabilities, reverse=True)[:top]
    assert all(probabilities[int(term)] == value for term, value in told)


@pytest.mark.parametrize(
    ("ranks", "text"),
    [(False, "a cat, oil, by Hals"), (True, "a cat, (oil:0.812), (by Hals:0.100)")],
)
def test_they_follow_the_caption(ranks, text):
    assert with_matches("a cat", [("oil", 0.8123), ("by Hals", 0.1)], ranks=ranks) == text
