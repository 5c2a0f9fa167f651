"""A picture worked on in tiles, put together again with soft seams. Source: spec images.md 9.3.

Everything is 8-bit: so are the seams of the reference.
"""

from collections.abc import Callable, Sequence
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
    """What `work` makes of an RGB picture, tile by tile; the picture itself if it was stopped.

    `work` may enlarge, all tiles by the same whole factor. A tile is pasted over those left of it
    and above it: its first `overlap` columns and rows fade in, whatever the real overlap is. A
    picture smaller than a tile lies in one at the bottom right, black around.
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
    size: tuple[int, int], pieces: Sequence[tuple[Box, Image.Image]], overlap: int
) -> Image.Image:
    """One RGB picture of `size` out of tiles that each lie in their box, row by row.

    Seams are as `by_tiles` makes them. A piece may be smaller than its box: then something stays
    black.
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
    """Paste, with the first `fade` columns (rows) from nothing to solid; not so at the edge."""
    x, y = at
    if (x if across else y) == 0 or fade == 0:
        canvas.paste(piece, at)
        return
    size = (fade, piece.height) if across else (piece.width, fade)
    canvas.paste(piece.crop((0, 0, *size)), at, ramp(size, across=across))
    rest = (fade, 0) if across else (0, fade)
    canvas.paste(piece.crop((*rest, *piece.size)), (x + rest[0], y + rest[1]))


def ramp(size: tuple[int, int], *, across: bool) -> Image.Image:
    """A mask that rises from 0 by floor(255 k / length) along its columns (rows)."""
    length = size[0] if across else size[1]
    levels = bytes(k * 255 // length for k in range(length))
    line = Image.frombytes("L", (length, 1) if across else (1, length), levels)
    return line.resize(size, Image.Resampling.NEAREST)
