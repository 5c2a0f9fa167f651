import json

import pytest

from benchmarks.shapes import differences


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (1, 2.5),
        ({"a": 1, "b": None}, {"a": 2, "b": None}),
        ([{"$file": "x.png", "size": [1, 1]}], ["iVBORw0"]),
        (json.dumps({"seed": 1}), json.dumps({"seed": 2})),
    ],
)
def test_values_do_not_matter(theirs, ours):
    assert list(differences(theirs, ours)) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (1, True, "body: boolean, not number"),
        ({"a": "x"}, {"a": None}, "body.a: null, not text"),
        ({"a": 1}, {}, "body.a: missing"),
        ({}, {"a": 1}, "body.a: not theirs"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "body: members in another order"),
        ([1, 2], [1], "body: 1 items, not 2"),
        ({"a": [{"b": 1}]}, {"a": [{"b": "x"}]}, "body.a[0].b: text, not number"),
        (json.dumps({"seed": 1}), json.dumps({"seed": None}), "body.seed: null, not number"),
    ],
)
def test_what_matters(theirs, ours, said):
    assert list(differences(theirs, ours)) == [said]


def test_items_of_a_shorter_list_are_like_one_of_theirs():
    theirs = [{"a": 1}, {"a": None}]
    assert list(differences(theirs, [{"a": None}])) == ["body: 1 items, not 2"]
    assert list(differences(theirs, [{"b": 1}]))[1:] == [
        "body[].a: missing",
        "body[].b: not theirs",
    ]
