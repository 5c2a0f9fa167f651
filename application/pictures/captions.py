"""Draws captions above the columns and beside the rows of a grid. Source: spec images.md 13.2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw
from PIL.ImageFont import FreeTypeFont

from hexfusion.application.pictures.grids import GridTooLarge
from hexfusion.domain.job_limits import DEFAULT_LIMITS, JobLimits
from hexfusion.domain.options import Options

OpenFont = Callable[[str, int], FreeTypeFont]
"""(font file, size in pixels) -> font; an empty file name is the default font. Raises
`InvalidRequest`."""

STROKE = 4
"""Width of the line that strikes out a caption, in pixels."""


@dataclass(frozen=True)
class Caption:
    """The text of a caption. One that does not hold (an unused part of the prompt) is struck
    out."""

    text: str
    holds: bool = True


@dataclass(frozen=True)
class CaptionStyle:
    """Font by size in pixels, and colours: background, captions that hold, struck-out captions."""

    font: Callable[[int], FreeTypeFont]
    background: str
    holding: str
    other: str


def caption_style(options: Options, open_font: OpenFont) -> CaptionStyle:
    """Read the style from the options. Raises `InvalidRequest` for a font that there is not."""
    file = options.text("font")
    open_font(file, 1)
    return CaptionStyle(
        font=lambda size: open_font(file, size),
        background=options.text("grid_background_color"),
        holding=options.text("grid_text_active_color"),
        other=options.text("grid_text_inactive_color"),
    )


def captioned(
    grid: Image.Image,
    cell: tuple[int, int],
    columns: Sequence[Sequence[Caption]],
    rows: Sequence[Sequence[Caption]],
    style: CaptionStyle,
    margin: int = 0,
    limits: JobLimits = DEFAULT_LIMITS,
) -> Image.Image:
    """The grid (RGB) with captions above its columns and to the left of its rows.

    `cell` is (width, height) of a cell in pixels. `columns` and `rows` have the captions of each
    column and row, one below the other. Cells are moved `margin` pixels apart. Raises
    `GridTooLarge`.
    """
    width, height = cell
    size = (width + height) // 25
    spacing = size // 2
    left = width * 3 // 4 if any(each.text for row in rows for each in row) else 0
    above = [_lines(each, size, width, style) for each in columns]
    beside = [_lines(each, size, left, style) for each in rows]
    blocks = [sum(line.height + spacing for line in lines) - spacing for lines in above]
    top = max(blocks) + 2 * spacing if sum(blocks) and any(above) else 0
    across, down = len(columns), len(rows)
    whole_size = (
        grid.width + left + margin * (across - 1),
        grid.height + top + margin * (down - 1),
    )
    if not limits.allows(whole_size):
        raise GridTooLarge(whole_size)
    whole = Image.new("RGB", whole_size, style.background)
    for row in range(down):
        for column in range(across):
            x, y = column * width, row * height
            piece = grid.crop((x, y, x + width, y + height))
            whole.paste(piece, (left + x + margin * column, top + y + margin * row))
    for column, lines in enumerate(above):
        centre = left + (width + margin) * column + width / 2
        _write(whole, centre, top / 2 - blocks[column] / 2, lines, spacing)
    for row, lines in enumerate(beside):
        centre = top + (height + margin) * row + height / 2
        _write(whole, left / 2, centre - sum(line.height for line in lines) / 2, lines, spacing)
    return whole


@dataclass(frozen=True)
class _Line:
    """A line of a caption; sizes are of the letters at full size."""

    text: str
    width: int
    height: int
    font: FreeTypeFont
    colour: str
    struck: bool


def _lines(captions: Sequence[Caption], size: int, room: int, style: CaptionStyle) -> list[_Line]:
    """Captions wrapped to `room` pixels; a single word that is wider gets a smaller font."""
    font = style.font(max(size, 1))
    lines = []
    for each in captions:
        for text in _wrapped(each.text, font, room):
            width, height = _size(text, font)
            fitting, smaller = font, size
            while _size(text, fitting)[0] > room and smaller > 1:
                smaller -= 1
                fitting = style.font(smaller)
            colour = style.holding if each.holds else style.other
            lines.append(_Line(text, width, height, fitting, colour, not each.holds))
    return lines


def _wrapped(text: str, font: FreeTypeFont, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _size(text: str, font: FreeTypeFont) -> tuple[int, int]:
    left, top, right, bottom = font.getbbox(text)
    return int(right - left), int(bottom - top)


def _write(whole: Image.Image, x: float, y: float, lines: Sequence[_Line], spacing: int) -> None:
    """Centred at `x`, from `y` down."""
    pen = ImageDraw.Draw(whole)
    for line in lines:
        shape, corner = _letters(x, y + line.height / 2, line)
        whole.paste(line.colour, corner, shape)
        if line.struck:
            middle, half = y + line.height // 2, line.width // 2
            pen.line((x - half, middle, x + half, middle), fill=line.colour, width=STROKE)
        y += line.height + spacing


def _letters(x: float, y: float, line: _Line) -> tuple[Image.Image, tuple[int, int]]:
    """(mask "L" of the text's pixels, its top left corner), centred at (`x`, `y`).

    Each letter is drawn by itself and the maximum taken: newer versions of Pillow add up the
    pixels of letters that touch, A1111's version does not.
    """
    font, text = line.font, line.text
    width, height = int(font.getlength(text)) + 1, 2 * int(font.size)
    left, top = int(x) - width, int(y) - height
    start = x - left - int(font.getlength(text) / 2 + 0.5)
    shape = Image.new("L", (2 * width, 2 * height))
    for end, letter in enumerate(text, start=1):
        at = start + font.getlength(text[:end]) - font.getlength(letter)
        drawn = Image.new("L", shape.size)
        ImageDraw.Draw(drawn).text((at, y - top), letter, font=font, fill=255, anchor="lm")
        shape = ImageChops.lighter(shape, drawn)
    return shape, (left, top)
