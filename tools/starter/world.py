"""The picture-book world: what a picture shows, how it is drawn, and which triples are held out."""

import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .palette import COLOURS, detail_colour, jitter
from .scenes import CAMOUFLAGE, SCENES, paint_scene
from .shapes import OBJECTS, draw_object

COLOUR_NAMES = tuple(COLOURS)
GROUNDS = COLOUR_NAMES + SCENES
HELD_OUT_EVERY = 10  # one triple in ten never occurs in training
SPECIAL_DETAIL = {"tree": (112, 72, 40), "flower": (252, 214, 50)}


@dataclass(frozen=True)
class Thing:
    """One object; `x`, `y` centre and `size` full side, as fractions of the canvas."""

    kind: str
    colour: str
    x: float = 0.5
    y: float = 0.5
    size: float = 0.72


@dataclass(frozen=True)
class Picture:
    """A ground (colour or scene) with no, one or two things, left to right."""

    ground: str
    things: tuple[Thing, ...] = ()


def allowed(colour: str, ground: str) -> bool:
    """Whether an object of `colour` is visible on `ground`."""
    return colour != ground and colour not in CAMOUFLAGE.get(ground, ())


def held_out(kind: str, colour: str, ground: str) -> bool:
    """Whether the triple is kept from training for the judge (fixed by a checksum)."""
    return zlib.crc32(f"{kind}|{colour}|{ground}".encode()) % HELD_OUT_EVERY == 0


def triples(want_held_out: bool) -> list[tuple[str, str, str]]:
    """All visible (kind, colour, ground) triples on one side of the split."""
    return [
        (kind, colour, ground)
        for kind in OBJECTS
        for colour in COLOUR_NAMES
        for ground in GROUNDS
        if allowed(colour, ground) and held_out(kind, colour, ground) == want_held_out
    ]


_TRAIN_TRIPLES = triples(want_held_out=False)


def _one(rng, ground_is_scene: bool) -> Picture:
    while True:
        kind, colour, ground = _TRAIN_TRIPLES[rng.integers(len(_TRAIN_TRIPLES))]
        if (ground in SCENES) == ground_is_scene:
            break
    x, y = 0.5 + rng.uniform(-0.035, 0.035, 2)
    return Picture(ground, (Thing(kind, colour, x, y, rng.uniform(0.66, 0.78)),))


def _two(rng) -> Picture:
    while True:
        ground = str(rng.choice(COLOUR_NAMES))
        picks = [(str(rng.choice(OBJECTS)), str(rng.choice(COLOUR_NAMES))) for _ in range(2)]
        fine = all(allowed(c, ground) and not held_out(k, c, ground) for k, c in picks)
        if fine and picks[0] != picks[1]:
            break
    things = tuple(
        Thing(k, c, x + rng.uniform(-0.02, 0.02), 0.5 + rng.uniform(-0.05, 0.05),
              rng.uniform(0.40, 0.45))
        for (k, c), x in zip(picks, (0.26, 0.74), strict=True)
    )  # fmt: skip
    return Picture(ground, things)


def sample_picture(rng) -> Picture:
    """A random training picture: 70 % one on plain, 16 % on a scene, 11 % two, 3 % bare scene."""
    u = rng.random()
    if u < 0.70:
        return _one(rng, ground_is_scene=False)
    if u < 0.86:
        return _one(rng, ground_is_scene=True)
    if u < 0.97:
        return _two(rng)
    return Picture(str(rng.choice(SCENES)))


def detail_of(thing: Thing) -> tuple[int, int, int]:
    """Colour of the thing's inner details."""
    special = SPECIAL_DETAIL.get(thing.kind)
    clash = {"tree": ("brown", "black"), "flower": ("yellow", "orange", "white")}
    if special is None or thing.colour in clash[thing.kind]:
        return detail_colour(thing.colour)
    return special


def render(picture: Picture, side: int, rng) -> Image.Image:
    """Draw `picture` antialiased as a `side` x `side` RGB image; `rng` jitters colours."""
    scale = 4 if side <= 128 else 2
    big = side * scale
    if picture.ground in SCENES:
        image = paint_scene(picture.ground, big, rng)
    else:
        image = Image.new("RGB", (big, big), jitter(COLOURS[picture.ground], rng))
    draw = ImageDraw.Draw(image)
    for thing in picture.things:
        main = jitter(COLOURS[thing.colour], rng)
        place = thing.x * big, thing.y * big, thing.size * big / 2
        draw_object(draw, thing.kind, *place, main, detail_of(thing))
    return image.reduce(scale)


def picture_number(index: int, seed: int) -> tuple[Picture, np.random.Generator]:
    """Training picture `index` of stream `seed`, with the generator its rendering must use."""
    rng = np.random.default_rng((seed, index))
    return sample_picture(rng), rng
