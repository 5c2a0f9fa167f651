"""Pictures that the captioner learns from, and what is to be said of each.

Most are the world as the diffusion model learns it. Some have their things elsewhere or smaller,
show a bare ground, or a shape that is none of the twelve; and some are of no such world at all,
so that the captioner learns when to say that it does not know.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .palette import COLOURS, jitter
from .shapes import OBJECTS
from .world import (
    COLOUR_NAMES,
    GROUNDS,
    Picture,
    Thing,
    allowed,
    held_out,
    render,
    sample_picture,
)

LAYOUTS = ("bare", "one", "two", "unknown")
KINDS = (*OBJECTS, "object")  # the last: a thing of another shape
HEADS = (LAYOUTS, GROUNDS, KINDS, COLOUR_NAMES, KINDS, COLOUR_NAMES)  # the things left to right
NOTHING = -1  # where a head has nothing to say, or nobody knows what is right


@dataclass(frozen=True)
class Labelled:
    """A square RGB picture and the right index of each head, or `NOTHING`."""

    image: Image.Image
    labels: tuple[int, ...]


def labels_of(picture: Picture) -> tuple[int, ...]:
    """What each head has to say of a picture of the world."""
    things = [(KINDS.index(t.kind), COLOUR_NAMES.index(t.colour)) for t in picture.things]
    things += [(NOTHING, NOTHING)] * (2 - len(things))
    layout = min(len(picture.things), 2)
    return layout, GROUNDS.index(picture.ground), *things[0], *things[1]


def _choice(rng, options):
    return options[int(rng.integers(len(options)))]


def _thing(rng, ground: str, x: float, y: float, size: float) -> Thing:
    while True:
        kind, colour = _choice(rng, OBJECTS), _choice(rng, COLOUR_NAMES)
        if allowed(colour, ground) and not held_out(kind, colour, ground):
            return Thing(kind, colour, x, y, size)


def _elsewhere(rng) -> Picture:
    """One or two things where the diffusion model never learned to put them, small or large."""
    ground = _choice(rng, GROUNDS)
    if rng.random() < 0.5:
        size = rng.uniform(0.34, 0.9)
        room = (1 - size) / 2
        x, y = 0.5 + rng.uniform(-room, room, 2)
        return Picture(ground, (_thing(rng, ground, x, y, size),))
    places = ((x + rng.uniform(-0.05, 0.05), 0.5 + rng.uniform(-0.15, 0.15)) for x in (0.26, 0.74))
    return Picture(ground, tuple(_thing(rng, ground, *p, rng.uniform(0.3, 0.45)) for p in places))


def _other_shape(rng, side: int) -> Labelled:
    """A shape that is none of the twelve: a cross, an arrow, a crescent, or a jagged blob."""
    ground, colour = _choice(rng, GROUNDS), _choice(rng, COLOUR_NAMES)
    while not allowed(colour, ground):
        colour = _choice(rng, COLOUR_NAMES)
    image = render(Picture(ground), 2 * side, rng)
    draw, middle, r = ImageDraw.Draw(image), side, side * rng.uniform(0.5, 0.8)
    fill = jitter(COLOURS[colour], rng)
    which = rng.integers(4)
    if which == 0:
        w = r * rng.uniform(0.2, 0.4)
        draw.rectangle([middle - w, middle - r, middle + w, middle + r], fill)
        draw.rectangle([middle - r, middle - w, middle + r, middle + w], fill)
    elif which == 1:
        head = [(-1, 0), (0, -0.8), (0, -0.3), (1, -0.3), (1, 0.3), (0, 0.3), (0, 0.8)]
        flip = _choice(rng, (-1, 1))
        draw.polygon([(middle + flip * x * r, middle + y * r) for x, y in head], fill)
    elif which == 2:
        mask = Image.new("L", image.size)
        pen, off = ImageDraw.Draw(mask), r * rng.uniform(0.35, 0.6)
        pen.ellipse([middle - r, middle - r, middle + r, middle + r], 255)
        pen.ellipse([middle - r + off, middle - r, middle + r + off, middle + r], 0)
        image.paste(fill, mask=mask)
    else:
        count = int(rng.integers(5, 10))
        angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.35, 0.35, count)) / count
        radii = r * rng.uniform(0.3, 1.1, count)
        points = zip(radii * np.cos(angles), radii * np.sin(angles), strict=True)
        draw.polygon([(middle + x, middle + y) for x, y in points], fill)
    one, shape = LAYOUTS.index("one"), len(KINDS) - 1
    labels = one, GROUNDS.index(ground), shape, COLOUR_NAMES.index(colour), NOTHING, NOTHING
    return Labelled(image.reduce(2), labels)


def _fractal(rng, side: int) -> Image.Image:
    """Noise of all sizes in three correlated channels, as photographs have."""
    total = np.zeros((side, side, 3), np.float32)
    cells, strength = 2, 1.0
    while cells <= side:
        noise = rng.normal(0, strength, (cells, cells, 1 if rng.random() < 0.5 else 3))
        noise = np.broadcast_to(noise, (cells, cells, 3)).astype(np.float32)
        layers = [
            Image.fromarray(noise[..., k].copy()).resize((side, side), Image.Resampling.BICUBIC)
            for k in range(3)
        ]
        total += np.stack([np.asarray(each) for each in layers], -1)
        cells, strength = cells * 2, strength * rng.uniform(0.4, 0.9)
    total = rng.uniform(40, 215, 3) + total * rng.uniform(25, 70)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def _clutter(rng, side: int) -> Image.Image:
    """Many things of any colour over each other."""
    image = Image.new("RGB", (side, side), tuple(int(c) for c in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(5, 40)):
        fill = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y = rng.uniform(0, side, 2)
        w, h = rng.uniform(2, side * 0.4, 2)
        box = [x - w, y - h, x + w, y + h]
        match rng.integers(4):
            case 0:
                draw.rectangle(box, fill)
            case 1:
                draw.ellipse(box, fill)
            case 2:
                draw.line(box, fill, int(rng.integers(1, 7)))
            case _:
                draw.polygon([tuple(p) for p in rng.uniform(0, side, (int(rng.integers(3, 6)), 2))],
                             fill)  # fmt: skip
    return image


def _pattern(rng, side: int) -> Image.Image:
    """Stripes, checks, or a slope from one colour to another."""
    y, x = np.mgrid[0:side, 0:side] / side
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    share = along - along.min()
    which = rng.integers(3)
    if which == 0:
        share = (np.sin(along * rng.uniform(12, 80)) > rng.uniform(-0.5, 0.5)).astype(float)
    elif which == 1:
        f = rng.uniform(12, 60)
        share = ((np.sin(along * f) > 0) ^ (np.sin(across * f) > 0)).astype(float)
    one, other = rng.uniform(0, 255, (2, 3))
    pixels = one + (other - one) * (share / max(share.max(), 1e-6))[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _crowd(rng, side: int) -> Image.Image:
    """More things of the world than it ever has."""
    ground = _choice(rng, GROUNDS)
    count = int(rng.integers(2, 4))
    things = [
        _thing(rng, ground, (i + 0.5) / count, (j + 0.5) / count, rng.uniform(0.6, 0.9) / count)
        for i in range(count)
        for j in range(count)
    ]
    kept = [each for each in things if rng.random() < 0.9]
    return render(Picture(ground, tuple(kept if len(kept) > 3 else things)), side, rng)


def _foreign(rng, side: int) -> Labelled:
    """A picture of no such world."""
    u = rng.random()
    if u < 0.40:
        image = _fractal(rng, side)
        if rng.random() < 0.5:  # something before it, as in a photograph
            front, mask = _fractal(rng, side), Image.new("L", (side, side))
            points = rng.uniform(0, side, (int(rng.integers(3, 9)), 2))
            ImageDraw.Draw(mask).polygon([tuple(each) for each in points], 255)
            image.paste(front, mask=mask.filter(ImageFilter.GaussianBlur(1)))
    elif u < 0.62:
        image = _clutter(rng, side)
    elif u < 0.80:
        image = _pattern(rng, side)
    elif u < 0.95:
        image = _crowd(rng, side)
    else:
        image = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
    return Labelled(image, (LAYOUTS.index("unknown"), *[NOTHING] * 5))


def training_picture(index: int, seed: int, side: int) -> Labelled:
    """Picture `index` of stream `seed`: of 100, 56 are of the world as the diffusion model sees it,
    16 have their things elsewhere, 6 another shape, 7 a bare ground, 15 are of no such world."""
    rng = np.random.default_rng((seed, index))
    u = rng.random()
    if u < 0.15:
        return _foreign(rng, side)
    if u < 0.21:
        return _other_shape(rng, side)
    if u < 0.28:
        picture = Picture(_choice(rng, GROUNDS))
    elif u < 0.44:
        picture = _elsewhere(rng)
    else:
        picture = sample_picture(rng)
    return Labelled(render(picture, side, rng), labels_of(picture))
