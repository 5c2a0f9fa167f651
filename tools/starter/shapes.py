"""Outlines of the twelve objects, drawn in a box with coordinates -1..1 (y down)."""

import math

from PIL import ImageDraw

RGB = tuple[int, int, int]


class Pen:
    """Draws in object coordinates: centre `(cx, cy)` and half side `r`, in pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw, cx: float, cy: float, r: float):
        self.draw, self.cx, self.cy, self.r = draw, cx, cy, r

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.cx + x * self.r, self.cy + y * self.r

    def polygon(self, points, fill: RGB) -> None:
        self.draw.polygon([self.at(x, y) for x, y in points], fill=fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: RGB) -> None:
        self.draw.ellipse([self.at(x - rx, y - ry), self.at(x + rx, y + ry)], fill=fill)

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: RGB) -> None:
        self.draw.rectangle([self.at(x0, y0), self.at(x1, y1)], fill=fill)

    def arc(self, x, y, r, start, end, width, fill: RGB) -> None:
        box = [self.at(x - r, y - r), self.at(x + r, y + r)]
        self.draw.arc(box, start, end, fill=fill, width=round(width * self.r))


def _circle(p: Pen, main: RGB, other: RGB) -> None:
    p.ellipse(0, 0, 0.95, 0.95, main)


def _square(p: Pen, main: RGB, other: RGB) -> None:
    p.rect(-0.86, -0.86, 0.86, 0.86, main)


def _triangle(p: Pen, main: RGB, other: RGB) -> None:
    p.polygon([(0, -1), (1.05, 0.85), (-1.05, 0.85)], main)


def _star(p: Pen, main: RGB, other: RGB) -> None:
    points = []
    for k in range(10):
        radius = 1.1 if k % 2 == 0 else 0.46
        angle = math.pi * k / 5 - math.pi / 2
        points.append((radius * math.cos(angle), 0.06 + radius * math.sin(angle)))
    p.polygon(points, main)


def _heart(p: Pen, main: RGB, other: RGB) -> None:
    points = []
    for k in range(64):
        a = 2 * math.pi * k / 64
        y = 13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)
        points.append((math.sin(a) ** 3, -y / 15 - 0.12))
    p.polygon(points, main)


def _ring(p: Pen, main: RGB, other: RGB) -> None:
    p.arc(0, 0, 1.0, 0, 360, 0.42, main)


def _tree(p: Pen, main: RGB, other: RGB) -> None:
    p.rect(-0.2, 0.2, 0.2, 1.0, other)
    p.ellipse(0, -0.3, 0.82, 0.72, main)


def _house(p: Pen, main: RGB, other: RGB) -> None:
    p.rect(-0.74, -0.12, 0.74, 1.0, main)
    p.polygon([(0, -1), (1, -0.1), (-1, -0.1)], other)
    p.rect(-0.22, 0.34, 0.22, 1.0, other)


def _cat(p: Pen, main: RGB, other: RGB) -> None:
    p.polygon([(-0.86, -0.98), (-0.1, -0.5), (-0.84, 0.2)], main)
    p.polygon([(0.86, -0.98), (0.1, -0.5), (0.84, 0.2)], main)
    p.ellipse(0, 0.2, 0.92, 0.76, main)
    p.ellipse(-0.38, 0.04, 0.17, 0.2, other)
    p.ellipse(0.38, 0.04, 0.17, 0.2, other)
    p.polygon([(-0.2, 0.4), (0.2, 0.4), (0, 0.64)], other)


def _fish(p: Pen, main: RGB, other: RGB) -> None:
    p.polygon([(0.25, 0), (1.05, -0.62), (1.05, 0.62)], main)
    p.ellipse(-0.22, 0, 0.82, 0.6, main)
    p.ellipse(-0.56, -0.12, 0.16, 0.16, other)


def _face(p: Pen, main: RGB, other: RGB) -> None:
    p.ellipse(0, 0, 0.98, 0.98, main)
    p.ellipse(-0.36, -0.3, 0.16, 0.2, other)
    p.ellipse(0.36, -0.3, 0.16, 0.2, other)
    p.arc(0, 0.06, 0.62, 15, 165, 0.2, other)


def _flower(p: Pen, main: RGB, other: RGB) -> None:
    for k in range(6):
        a = math.pi * k / 3
        p.ellipse(0.6 * math.cos(a), 0.6 * math.sin(a), 0.4, 0.4, main)
    p.ellipse(0, 0, 0.36, 0.36, other)


SHAPES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "ring": _ring,
    "tree": _tree,
    "house": _house,
    "cat": _cat,
    "fish": _fish,
    "face": _face,
    "flower": _flower,
}
OBJECTS = tuple(SHAPES)


def draw_object(draw, kind: str, cx, cy, r, main: RGB, other: RGB) -> None:
    """Draw `kind` centred at `(cx, cy)` with half side `r` pixels."""
    SHAPES[kind](Pen(draw, cx, cy, r), main, other)
