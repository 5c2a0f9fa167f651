"""The eleven colours of the picture-book world (sRGB, 0..255)."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 36, 40),
    "orange": (248, 140, 24),
    "yellow": (252, 222, 50),
    "green": (46, 160, 70),
    "blue": (40, 90, 220),
    "purple": (130, 56, 172),
    "pink": (248, 152, 192),
    "brown": (126, 78, 42),
    "black": (22, 22, 26),
    "white": (246, 246, 246),
    "gray": (136, 136, 142),
}

_DARK = ("black", "brown", "purple", "blue")


def detail_colour(main: str) -> tuple[int, int, int]:
    """Colour of eyes, doors, roofs: dark on light objects, light on dark ones."""
    return COLOURS["white"] if main in _DARK else (34, 30, 40)


def jitter(rgb: tuple[int, int, int], rng, amount: int = 6) -> tuple[int, int, int]:
    """`rgb` moved by up to `amount` per channel, clipped to 0..255."""
    moved = (c + int(rng.integers(-amount, amount + 1)) for c in rgb)
    return tuple(min(255, max(0, c)) for c in moved)
