"""What the starter's captioner says of what it has seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexfusion.domain.interrogation.starter_captions import (
    UNKNOWN,
    ObjectGuess,
    SceneGuess,
    WordGuess,
    caption_scene,
)


def seen(layout, ground, *things):
    """Words that begin with `?` are doubtful."""
    told = [ObjectGuess(guess(kind), guess(colour)) for colour, kind in things]
    told += [ObjectGuess(guess("?cat"), guess("?red"))] * (2 - len(told))
    return SceneGuess(guess(layout), guess(ground), (told[0], told[1]))


def guess(word):
    return WordGuess(word.lstrip("?"), 0.4 if word.startswith("?") else 0.9)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (seen("one", "blue", ("red", "circle")), "a red circle on a blue background"),
        (seen("one", "orange", ("orange", "cat")), "an orange cat on an orange background"),
        (seen("one", "night", ("yellow", "star")), "a yellow star in the night sky"),
        (seen("one", "sunset", ("black", "cat")), "a black cat at sunset"),
        (seen("one", "sea", ("orange", "fish")), "an orange fish in the sea"),
        (seen("one", "meadow", ("red", "house")), "a red house in a meadow"),
        (seen("one", "snow", ("brown", "tree")), "a brown tree in the snow"),
        (
            seen("two", "white", ("red", "heart"), ("blue", "square")),
            "a red heart left of a blue square on a white background",
        ),
        (seen("bare", "night"), "the night sky"),
        (seen("bare", "sunset"), "a sunset"),
        (seen("bare", "snow"), "a snow landscape"),
        (seen("bare", "red"), "a red background"),
        (seen("unknown", "red", ("red", "cat")), UNKNOWN),
        (seen("?one", "red", ("red", "cat")), UNKNOWN),
        (seen("one", "blue", ("red", "?cat")), "a red object on a blue background"),
        (seen("one", "blue", ("red", "object")), "a red object on a blue background"),
        (seen("one", "blue", ("?red", "cat")), "a cat on a blue background"),
        (seen("one", "blue", ("?red", "?cat")), UNKNOWN),
        (seen("one", "?blue", ("red", "?cat")), UNKNOWN),
        (seen("two", "?blue", ("red", "?cat"), ("?red", "dog")), "a red object left of a dog"),
        (seen("one", "?blue", ("red", "cat")), "a red cat"),
        (seen("one", "?blue", ("?red", "?cat")), UNKNOWN),
        (seen("bare", "?blue"), UNKNOWN),
        (seen("two", "red", ("?red", "cat"), ("blue", "?cat")),
         "a cat left of a blue object on a red background"),
    ],
)  # fmt: skip
def test_sentences(what, text):
    assert caption_scene(what) == text


_words = st.sampled_from(["one", "two", "bare", "unknown", "red", "night", "cat"])
_guesses = st.builds(WordGuess, _words, st.floats(0, 1))
_things = st.builds(ObjectGuess, _guesses, _guesses)


@given(st.builds(SceneGuess, _guesses, _guesses, st.tuples(_things, _things)))
def test_no_doubtful_word_is_said(what):
    text = caption_scene(what)
    assert text
    for guess in (what.ground, *(g for each in what.things for g in (each.kind, each.colour))):
        if not guess.sure and guess.word in ("cat", "red"):
            others = [what.ground, *(g for t in what.things for g in (t.kind, t.colour))]
            if not any(each.sure and each.word == guess.word for each in others):
                assert guess.word not in text.split()
