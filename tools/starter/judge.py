"""A judge without training: reads ground, colour and kind off a picture and says how it decided.

1. Ground: the outer frame is compared with every plain colour and scene; the nearest wins.
2. Colour: of the pixels unlike the ground, the palette colour that most of them are nearest to.
3. Kind: every kind's regions (main colour, details) are drawn at several sizes, aligned by the main
   colour's box, and compared by intersection over union; details may be as good as invisible, like
   dark eyes on black. The best one wins, but below `MIN_MATCH` the picture counts as no known
   object, so that blobs are wrong.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from PIL import Image, ImageDraw

from .captions import with_article
from .palette import COLOURS
from .scenes import SCENES
from .shapes import OBJECTS, draw_object
from .world import COLOUR_NAMES, GROUNDS, Picture, held_out, render, triples

SIDE = 64  # pictures are judged at this size
FRAME = 7  # pixels of border that show the ground
FOREGROUND_DISTANCE = 48.0  # RGB distance from the ground's colour
MIN_MATCH = 0.55
SIZES = (0.60, 0.66, 0.71, 0.76, 0.82)


@dataclass(frozen=True)
class Verdict:
    """What the judge sees; `match` is the kind's score 0..1, `kind` is "none" below the minimum."""

    ground: str
    colour: str
    kind: str
    match: float


def _pixels(image: Image.Image) -> np.ndarray:
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float32)


@cache
def _ground_picture(ground: str) -> np.ndarray:
    """float32 [SIDE, SIDE, 3]: the bare ground, averaged over its jitter."""
    rngs = [np.random.default_rng(k) for k in range(4)]
    return np.mean([_pixels(render(Picture(ground), 2 * SIDE, r)) for r in rngs], axis=0)


def _frame(pixels: np.ndarray) -> np.ndarray:
    inside = np.zeros((SIDE, SIDE), bool)
    inside[FRAME:-FRAME, FRAME:-FRAME] = True
    return pixels[~inside]


def read_ground(pixels: np.ndarray) -> str:
    """The colour or scene whose frame is nearest (mean RGB distance)."""
    frame = _frame(pixels)
    distance = {
        g: np.linalg.norm(frame - _frame(_ground_picture(g)), axis=1).mean() for g in GROUNDS
    }
    return min(distance, key=distance.get)


def foreground(pixels: np.ndarray, ground: str) -> np.ndarray:
    """bool [SIDE, SIDE]: unlike the ground; a plain ground's colour is measured on the frame."""
    if ground in SCENES:
        reference = _ground_picture(ground)
        threshold = FOREGROUND_DISTANCE * 1.5
    else:
        reference = np.median(_frame(pixels), axis=0)
        threshold = FOREGROUND_DISTANCE
    mask = np.linalg.norm(pixels - reference, axis=2) > threshold
    mask[:3], mask[-3:], mask[:, :3], mask[:, -3:] = False, False, False, False
    return mask


def nearest_colours(pixels: np.ndarray) -> np.ndarray:
    """int [...]: index of the nearest palette colour."""
    table = np.array([COLOURS[c] for c in COLOUR_NAMES], np.float32)
    return np.linalg.norm(pixels[..., None, :] - table, axis=-1).argmin(-1)


def _regions(pixels: np.ndarray, ground: str, colour: str) -> np.ndarray:
    """int8 [SIDE, SIDE]: 0 ground, 1 the object's main colour, 2 anything else on the object."""
    mask = foreground(pixels, ground)
    main = mask & (nearest_colours(pixels) == COLOUR_NAMES.index(colour))
    return np.where(main, 1, np.where(mask, 2, 0)).astype(np.int8)


def _centre(regions: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(regions == 1)
    if not len(rows):
        return SIDE // 2, SIDE // 2
    low, high = np.percentile(rows, (2, 98)), np.percentile(columns, (2, 98))
    return round(low.mean()), round(high.mean())


@cache
def _template(kind: str, size: float, details: bool) -> tuple[np.ndarray, tuple[int, int]]:
    """(regions of `kind`, their centre), drawn in red and green on black."""
    big = 4 * SIDE
    image = Image.new("RGB", (big, big))
    marks = (255, 0, 0), (0, 255, 0) if details else (0, 0, 0)
    draw_object(ImageDraw.Draw(image), kind, big / 2, big / 2, size * big / 2, *marks)
    pixels = _pixels(image)
    regions = np.where(pixels[..., 0] > 127, 1, np.where(pixels[..., 1] > 127, 2, 0))
    return regions.astype(np.int8), _centre(regions)


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Mean intersection over union of regions 1 and 2, each weighted by the root of its area."""
    score = weight = 0.0
    for region in (1, 2):
        x, y = a == region, b == region
        union = (x | y).sum()
        if union < 8:
            continue
        importance = union**0.5
        score += importance * (x & y).sum() / union
        weight += importance
    return score / weight if weight else 0.0


def match_kind(pixels: np.ndarray, ground: str, colour: str) -> tuple[str, float]:
    """(kind, score) of the best rendered template, or ("none", score)."""
    seen = _regions(pixels, ground, colour)
    y, x = _centre(seen)
    best, best_score = "none", 0.0
    for kind in OBJECTS:
        for size, details in product(SIZES, (True, False)):
            template, (ty, tx) = _template(kind, size, details)
            moved = np.roll(template, (y - ty, x - tx), axis=(0, 1))
            score = _agreement(seen, moved)
            if score > best_score:
                best, best_score = kind, score
    return (best if best_score >= MIN_MATCH else "none"), float(best_score)


def judge(image: Image.Image) -> Verdict:
    """Read one picture of one object."""
    pixels = _pixels(image)
    ground = read_ground(pixels)
    mask = foreground(pixels, ground)
    if mask.sum() < 40:
        return Verdict(ground, "none", "none", 0.0)
    votes = np.bincount(nearest_colours(pixels[mask]), minlength=len(COLOUR_NAMES))
    if ground in COLOUR_NAMES:
        votes[COLOUR_NAMES.index(ground)] = 0
    colour = COLOUR_NAMES[int(votes.argmax())]
    return Verdict(ground, colour, *match_kind(pixels, ground, colour))


SCENE_WORDS = {
    "night": "in the night sky",
    "sunset": "at sunset",
    "sea": "in the sea",
    "meadow": "in a meadow",
    "snow": "in the snow",
}


def prompt_for(kind: str, colour: str, ground: str) -> str:
    """The judge's caption, e.g. `a red circle on a blue background`."""
    what = f"{with_article(colour)} {kind}"
    if ground in SCENES:
        return f"{what} {SCENE_WORDS[ground]}"
    return f"{what} on {with_article(ground)} background"


def held_out_prompts(count: int, seed: int = 0) -> list[tuple[str, tuple[str, str, str]]]:
    """`count` held-out (prompt, (kind, colour, ground)), every kind equally often."""
    rng = np.random.default_rng(seed)
    by_kind = {k: [t for t in triples(want_held_out=True) if t[0] == k] for k in OBJECTS}
    out = []
    while len(out) < count:
        for kind in OBJECTS:
            choice = by_kind[kind][rng.integers(len(by_kind[kind]))]
            assert held_out(*choice)
            out.append((prompt_for(*choice), choice))
    return out[:count]


def score(images, wanted) -> dict[str, float]:
    """Shares 0..1 of pictures with the right ground, colour, object, and all three."""
    rows = []
    for image, (kind, colour, ground) in zip(images, wanted, strict=True):
        v = judge(image)
        rows.append((v.ground == ground, v.colour == colour, v.kind == kind))
    hits = np.array(rows, float)
    means = dict(zip(("ground", "colour", "object"), hits.mean(0).tolist(), strict=True))
    return {"n": len(rows), **means, "all": float(hits.all(1).mean())}
