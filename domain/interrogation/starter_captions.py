"""What the starter's captioner has seen, in words that the starter checkpoint knows.

Only what it is sure of is said: "a red object" where the shape is none it knows, "a circle" where
the colour is in doubt, and `UNKNOWN` where the whole is nothing out of the starter's world, or
hardly a word would be left.
"""

import msgspec

#: What is said of a picture that shows nothing of the world the captioner was trained on.
UNKNOWN = "unknown picture"
#: A guess counts from this probability on, and one on the whole picture from that on.
SURE, SURE_OF_ALL = 0.5, 0.7
#: Words of which at least so many must be sure, or nothing is said.
_LEAST = 2

#: Layouts, by how many things there are.
BARE, ONE, TWO = "bare", "one", "two"
#: What the captioner calls a thing of another shape.
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
    """A word, and how probable it is, 0 to 1."""

    word: str
    probability: float

    @property
    def sure(self) -> bool:
        return self.probability >= SURE


class ObjectGuess(msgspec.Struct, frozen=True):
    kind: WordGuess
    colour: WordGuess


class SceneGuess(msgspec.Struct, frozen=True):
    """`things` from left to right; only as many count as `layout` says there are."""

    layout: WordGuess
    ground: WordGuess
    things: tuple[ObjectGuess, ObjectGuess]


def caption_scene(seen: SceneGuess) -> str:
    """For example `a red heart left of a blue square on a white background`."""
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
