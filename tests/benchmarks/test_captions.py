"""What `benchmarks.captions` calls right."""

import pytest

from benchmarks.captions import (
    Drawn,
    Told,
    agreement,
    drawn_table,
    parts,
    rendered,
    table_of,
    truth,
)
from tools.starter.world import Picture, Thing, held_out

pytestmark = pytest.mark.torch  # tools/starter


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        (Picture("blue", (Thing("circle", "red"),)), "a red circle on a blue background"),
        (Picture("night", (Thing("star", "yellow"),)), "a yellow star in the night sky"),
        (Picture("snow"), "a snow landscape"),
        (
            Picture("white", (Thing("heart", "orange"), Thing("cat", "blue"))),
            "an orange heart left of a blue cat on a white background",
        ),
    ],
)
def test_what_is_to_be_said(picture, text):
    assert truth(picture) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red circle on a blue background", ("red", "circle", "on a blue background")),
        ("an orange object at sunset", ("orange", "object", "at sunset")),
        ("a cat", ("", "cat", "")),
        ("unknown picture", ("", "picture", "")),
    ],
)
def test_a_sentence_in_parts(text, expected):
    assert parts(text) == expected


def test_half_of_the_pictures_show_triples_that_no_training_has():
    made = list(rendered(40))
    unseen = [picture for kind, _, picture, _ in made if "unseen" in kind]
    assert len(unseen) == 20
    for picture in unseen:
        (thing,) = picture.things
        assert held_out(thing.kind, thing.colour, picture.ground)
    again = [(side, picture) for _, side, picture, _ in rendered(40)]
    assert again == [(side, picture) for _, side, picture, _ in made]


def test_shares():
    told = [
        Told("rendered", 64, "a", "a"),
        Told("rendered, unseen triple", 64, "a", "b"),
        Told("of no such world", 64, "a", "b"),
    ]
    table, share = table_of(told)
    assert share == 0.5
    assert table.row_count == 3
    same = agreement([("a red cat at sunset", "a red dog at sunset")] * 2)
    assert same == {"colour": 1.0, "kind": 0.0, "place": 1.0, "all": 0.0}
    _, figures = drawn_table([Drawn("a red cat at sunset", "a red cat at sunset", "x")])
    assert figures["caption = prompt"]["all"] == 1.0
    assert figures["judge = prompt"]["all"] == 0.0
