"""Processes a picture in tiles and joins them with blended seams. Source: spec images.md 9.3.

All blending is 8-bit, as in A1111.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from PIL import Image

from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.picture_boxes import Box
from hexfusion.domain.tiles import even_starts
from hexfusion.domain.upscalers import Tiling


def by_tiles(
    image: Image.Image,
    tiling: Tiling,
    work: Callable[[Image.Image], Image.Image],
    advance: Advance = go_on,
) -> Image.Image:
    """Apply `work` to an RGB picture tile by tile; if `advance` stops it, return the picture
    itself.

    `work` may enlarge, by the same integer factor for all tiles. `advance` is called after each
    tile. A tile is pasted over its left and upper neighbours, and its first `overlap` columns and
    rows are blended in, even where the tiles overlap more. A picture smaller than a tile is at the
    bottom right of a black tile.
    """
    if tiling.size <= 0:
        larger = work(image)
        return image if advance(1, 1) is not Verdict.CONTINUE else larger
    columns = even_starts(image.width, tiling.size, tiling.overlap)
    rows = even_starts(image.height, tiling.size, tiling.overlap)
    of, done = len(columns) * len(rows), 0
    whole: Image.Image | None = None
    for y in rows:
        row: Image.Image | None = None
        for x in columns:
            tile = image.crop((x, y, x + tiling.size, y + tiling.size))
            larger = work(tile)
            scale = larger.width // tile.width
            if row is None:
                row = Image.new("RGB", (image.width * scale, larger.height))
            _paste(row, larger, (x * scale, 0), tiling.overlap * scale, across=True)
            done += 1
            if advance(done, of) is not Verdict.CONTINUE:
                return image
        assert row is not None
        if whole is None:
            whole = Image.new("RGB", (row.width, image.height * scale))
        _paste(whole, row, (0, y * scale), tiling.overlap * scale, across=False)
    assert whole is not None
    return whole


def combined(
    size: tuple[int, int], pieces: Iterable[tuple[Box, Image.Image]], overlap: int
) -> Image.Image:
    """Join tiles, given as (box, picture) row by row, to one RGB picture of `size`.

    They may be made meanwhile, and are in memory one at a time.
    Seams are blended as in `by_tiles`. Where a tile is smaller than its box, the rest stays black.
    """
    whole = Image.new("RGB", size)
    for (_, top, _, bottom), row in groupby(pieces, lambda piece: (0, piece[0][1], 0, piece[0][3])):
        strip = Image.new("RGB", (size[0], bottom - top))
        for (left, _, right, _), piece in row:
            _paste(
                strip,
                piece.crop((0, 0, right - left, bottom - top)),
                (left, 0),
                overlap,
                across=True,
            )
        _paste(whole, strip, (0, top), overlap, across=False)
    return whole


def _paste(
    canvas: Image.Image, piece: Image.Image, at: tuple[int, int], fade: int, *, across: bool
) -> None:
    """Paste a tile, with its first `fade` columns (`across`) or rows blended in; at the picture's
    edge without blending."""
    x, y = at
    if (x if across else y) == 0 or fade == 0:
        canvas.paste(piece, at)
        return
    size = (fade, piece.height) if across else (piece.width, fade)
    canvas.paste(piece.crop((0, 0, *size)), at, ramp(size, across=across))
    rest = (fade, 0) if across else (0, fade)
    canvas.paste(piece.crop((*rest, *piece.size)), (x + rest[0], y + rest[1]))


def ramp(size: tuple[int, int], *, across: bool) -> Image.Image:
    """A mask ("L") with value floor(255 k / length) in column k (`across`) or row k."""
    length = size[0] if across else size[1]
    levels = bytes(k * 255 // length for k in range(length))
    line = Image.frombytes("L", (length, 1) if across else (1, length), levels)
    return line.resize(size, Image.Resampling.NEAREST)
