"""Painted grounds behind the objects, in coordinates 0..1 of the canvas (y down)."""

from PIL import Image, ImageDraw

from .palette import jitter

SCENES = ("night", "sunset", "sea", "meadow", "snow")

# Object colours that would vanish on a scene.
CAMOUFLAGE = {
    "night": ("black", "blue", "purple"),
    "sunset": ("orange", "purple"),
    "sea": ("blue",),
    "meadow": ("green",),
    "snow": ("white", "gray"),
}


def _band(draw, side, y0, y1, fill) -> None:
    draw.rectangle([0, y0 * side, side, y1 * side], fill=fill)


def _dot(draw, side, x, y, r, fill) -> None:
    box = [(x - r) * side, (y - r) * side, (x + r) * side, (y + r) * side]
    draw.ellipse(box, fill=fill)


def _night(draw, side, rng) -> None:
    _band(draw, side, 0, 1, jitter((20, 26, 74), rng))
    for x, y in ((0.3, 0.07), (0.62, 0.06), (0.93, 0.3), (0.06, 0.45), (0.94, 0.7), (0.08, 0.9)):
        dx, dy = rng.uniform(-0.03, 0.03, 2)
        _dot(draw, side, x + dx, y + dy, 0.018, (250, 250, 220))
    _dot(draw, side, 0.12, 0.14, 0.085, (250, 238, 170))


def _sunset(draw, side, rng) -> None:
    top, middle, low = (112, 60, 140), (238, 96, 96), (254, 184, 80)
    steps = 48
    for k in range(steps):
        f = 0.76 * k / steps
        u = k / (steps - 1) * 2
        a, b, w = (top, middle, u) if u < 1 else (middle, low, u - 1)
        colour = tuple(round(p + (q - p) * w) for p, q in zip(a, b, strict=True))
        _band(draw, side, f, f + 0.03, colour)
    _band(draw, side, 0.76, 1, jitter((70, 40, 84), rng))


def _sea(draw, side, rng) -> None:
    _band(draw, side, 0, 1, jitter((168, 220, 246), rng))
    level = 0.58 + rng.uniform(-0.03, 0.03)
    _band(draw, side, level, 1, jitter((26, 104, 186), rng))
    _band(draw, side, level, level + 0.03, (226, 244, 250))


def _meadow(draw, side, rng) -> None:
    _band(draw, side, 0, 1, jitter((150, 212, 246), rng))
    _band(draw, side, 0.64 + rng.uniform(-0.03, 0.03), 1, jitter((94, 184, 66), rng))
    _dot(draw, side, 0.9, 0.1, 0.1, (254, 226, 70))


def _snow(draw, side, rng) -> None:
    _band(draw, side, 0, 1, jitter((160, 184, 210), rng))
    _band(draw, side, 0.68 + rng.uniform(-0.03, 0.03), 1, (244, 248, 252))
    for x, y in ((0.1, 0.1), (0.36, 0.06), (0.66, 0.08), (0.92, 0.16), (0.06, 0.4), (0.94, 0.45)):
        dx, dy = rng.uniform(-0.03, 0.03, 2)
        _dot(draw, side, x + dx, y + dy, 0.024, (252, 252, 255))


_PAINTERS = dict(zip(SCENES, (_night, _sunset, _sea, _meadow, _snow), strict=True))


def paint_scene(name: str, side: int, rng) -> Image.Image:
    """A square RGB picture of scene `name`, `side` pixels wide."""
    image = Image.new("RGB", (side, side))
    _PAINTERS[name](ImageDraw.Draw(image), side, rng)
    return image
