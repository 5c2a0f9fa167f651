"""Captions from the predictions of the starter's captioner, in the starter checkpoint's words.

Only confident predictions become words: "a red object" if the shape is unsure, "a circle" if the
colour is, and `UNKNOWN` if the layout is unsure or hardly any word would remain.
"""

import msgspec

#: Caption of a picture unlike those the captioner was trained on.
UNKNOWN = "unknown picture"
#: Least probability at which a word counts as confident, and the same for the layout.
SURE, SURE_OF_ALL = 0.5, 0.7
#: Least number of confident words in a caption.
_LEAST = 2

#: Layouts: no object, one, two.
BARE, ONE, TWO = "bare", "one", "two"
#: The captioner's class for any other shape.
OBJECT = "object"

_BEFORE = {
    "night": "in the night sky",
    "sunset": "at sunset",
    "sea": "in the sea",
    "meadow": "in a meadow",
    "snow": "in the snow",
}
_ALONE = {
    "night": "the night sky",
    "sunset": "a sunset",
    "sea": "the sea",
    "meadow": "a meadow",
    "snow": "a snow landscape",
}


class WordGuess(msgspec.Struct, frozen=True):
    """A predicted word and its probability, 0 to 1."""

    word: str
    probability: float

    @property
    def sure(self) -> bool:
        return self.probability >= SURE


class ObjectGuess(msgspec.Struct, frozen=True):
    kind: WordGuess
    colour: WordGuess


class SceneGuess(msgspec.Struct, frozen=True):
    """Predictions for one picture. `things` are from left to right; `layout` says how many
    count."""

    layout: WordGuess
    ground: WordGuess
    things: tuple[ObjectGuess, ObjectGuess]


def caption_scene(seen: SceneGuess) -> str:
    """The caption, such as `a red heart left of a blue square on a white background`."""
    count = {BARE: 0, ONE: 1, TWO: 2}.get(seen.layout.word)
    if count is None or seen.layout.probability < SURE_OF_ALL:
        return UNKNOWN
    if count == 0:
        return _alone(seen.ground.word) if seen.ground.sure else UNKNOWN
    things = seen.things[:count]
    words = [seen.ground, *(guess for each in things for guess in (each.kind, each.colour))]
    if sum(word.sure for word in words) < _LEAST:
        return UNKNOWN
    what = " left of ".join(_named(each) for each in things)
    return f"{what} {_place(seen.ground.word)}" if seen.ground.sure else what


def _named(thing: ObjectGuess) -> str:
    kind = thing.kind.word if thing.kind.sure else OBJECT
    return _with_article(f"{thing.colour.word} {kind}" if thing.colour.sure else kind)


def _place(ground: str) -> str:
    return _BEFORE.get(ground) or f"on {_with_article(ground)} background"


def _alone(ground: str) -> str:
    return _ALONE.get(ground) or f"{_with_article(ground)} background"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
