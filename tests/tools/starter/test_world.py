"""The picture-book world: deterministic pictures, a held-out split that is held out."""

import numpy as np

from tools.starter.captions import caption
from tools.starter.tokens import row_ids
from tools.starter.world import allowed, held_out, picture_number, render, triples


def test_a_picture_is_fixed_by_its_number():
    first, second = (render(*_args(picture_number(3, 7))) for _ in range(2))
    assert np.array_equal(np.asarray(first), np.asarray(second))
    other = render(*_args(picture_number(4, 7)))
    assert not np.array_equal(np.asarray(first), np.asarray(other))


def _args(made):
    picture, rng = made
    return picture, 64, rng


def test_held_out_triples_never_occur_in_training_pictures():
    for index in range(2000):
        picture, _ = picture_number(index, 11)
        for thing in picture.things:
            assert allowed(thing.colour, picture.ground)
            assert not held_out(thing.kind, thing.colour, picture.ground)


def test_the_split_is_disjoint_and_about_a_tenth():
    train, test = triples(want_held_out=False), triples(want_held_out=True)
    assert not set(train) & set(test)
    assert 0.05 < len(test) / (len(train) + len(test)) < 0.15


def test_every_caption_word_is_known():
    for index in range(1000):
        assert 0 not in row_ids(caption(*picture_number(index, 13)))
