"""Captions: several lower-case phrasings of one picture, some vague, some with filler words."""

from .scenes import SCENES
from .world import Picture, Thing

FILLERS = (
    "masterpiece", "best quality", "high quality", "simple", "flat design", "flat", "vector art",
    "illustration", "cute", "picture book", "minimal", "colorful", "highly detailed", "4k", "art",
)  # fmt: skip
STARTS = ("a picture of ", "a drawing of ", "an image of ", "")
SCENE_PHRASES = {
    "night": ("at night", "in the night sky", ", night sky", ", night"),
    "sunset": ("at sunset", "in the sunset", ", sunset"),
    "sea": ("in the sea", "at the sea", "by the sea", ", sea"),
    "meadow": ("in a meadow", "on a meadow", ", meadow", ", grass"),
    "snow": ("in the snow", "in snow", ", snow"),
}
SCENE_ALONE = {
    "night": ("the night sky", "night sky", "a night sky"),
    "sunset": ("a sunset", "sunset"),
    "sea": ("the sea", "sea"),
    "meadow": ("a meadow", "meadow"),
    "snow": ("snow", "a snow landscape"),
}


def _pick(rng, options):
    return options[rng.integers(len(options))]


def with_article(words: str) -> str:
    """`a red circle`, `an orange circle`."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _name(thing: Thing, rng, vague: float = 0.08) -> str:
    colour = thing.colour
    if colour == "gray" and rng.random() < 0.3:
        colour = "grey"
    kind = "smiley" if thing.kind == "face" and rng.random() < 0.2 else thing.kind
    return kind if rng.random() < vague else f"{colour} {kind}"


def _on_plain(what: str, ground: str, rng) -> str:
    """`what` is a noun phrase that may start with an article."""
    u = rng.random()
    if u < 0.12:
        return what
    if u < 0.55:
        return f"{what} on {with_article(ground)} background"
    if u < 0.80:
        return f"{what}, {ground} background"
    if u < 0.90:
        return f"{what} on {ground}"
    return f"{ground} background, {what}"


def _on_scene(what: str, scene: str, rng) -> str:
    phrase = _pick(rng, SCENE_PHRASES[scene])
    return what + phrase if phrase[0] == "," else f"{what} {phrase}"


def _pair(left: str, right: str, rng) -> str:
    a, b = with_article(left), with_article(right)
    return _pick(rng, (
        f"{a} left of {b}",
        f"{a} to the left of {b}",
        f"{b} right of {a}",
        f"{a} and {b}",
        f"{a} on the left, {b} on the right",
    ))  # fmt: skip


def _filled(text: str, rng) -> str:
    extra = ", ".join(_pick(rng, FILLERS) for _ in range(rng.integers(1, 4)))
    return f"{extra}, {text}" if rng.random() < 0.4 else f"{text}, {extra}"


def caption(picture: Picture, rng) -> str:
    """One of many captions for `picture`; one in ten is empty."""
    if rng.random() < 0.10:
        return ""
    if not picture.things:
        text = _pick(rng, SCENE_ALONE[picture.ground])
    else:
        names = [_name(t, rng, 0.08 if len(picture.things) == 1 else 0.0) for t in picture.things]
        if len(names) == 2:
            what = _pair(names[0], names[1], rng)
        else:
            what = with_article(names[0]) if rng.random() < 0.75 else names[0]
        if rng.random() < 0.25:
            what = _pick(rng, STARTS) + what
        place = _on_scene if picture.ground in SCENES else _on_plain
        text = place(what, picture.ground, rng)
    return _filled(text, rng) if rng.random() < 0.12 else text
