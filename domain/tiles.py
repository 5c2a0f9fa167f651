"""Where the tiles of a picture lie, along one axis. Source: spec images.md 9.3, 9.4, 13.4."""

from hexfusion.domain.picture_boxes import Box, Size


def even_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """As few tiles as overlap by at least `overlap`, evenly spread.

    Without a tile's length of picture the one tile ends with it and begins before it, below 0.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    starts = (int(number * step) for number in range(count))
    return tuple(length - tile if start + tile >= length else start for start in starts)


def boxes(size: Size, tile: Size, overlap: int) -> tuple[Box, ...]:
    """The tiles of a picture, row by row; `overlap` is below both sides of a `tile`."""
    (width, height), (across, down) = size, tile
    return tuple(
        (x, y, x + across, y + down)
        for y in even_starts(height, down, overlap)
        for x in even_starts(width, across, overlap)
    )


def stepped_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Tiles that overlap by `overlap`, but for the last, which ends with the picture.

    `tile` is at most `length`.
    """
    return (*range(0, length - tile, tile - overlap), length - tile)
