"""Positions of the tiles that a picture is processed in.

Source: spec images.md 9.3, 9.4, 13.4.
"""

from hexfusion.domain.picture_boxes import Box, Size


def even_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Start of each tile on one axis: the fewest tiles of length `tile` that cover `length` with
    an overlap of at least `overlap`, evenly spaced. All lengths are in pixels.

    If the picture is shorter than a tile, the only tile ends with the picture and starts below 0.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    starts = (int(number * step) for number in range(count))
    return tuple(length - tile if start + tile >= length else start for start in starts)


def boxes(size: Size, tile: Size, overlap: int) -> tuple[Box, ...]:
    """Boxes of a picture's tiles, row by row. `overlap` must be less than both sides of a tile."""
    (width, height), (across, down) = size, tile
    return tuple(
        (x, y, x + across, y + down)
        for y in even_starts(height, down, overlap)
        for x in even_starts(width, across, overlap)
    )


def stepped_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Start of each tile on one axis: tiles overlap by exactly `overlap` pixels, except the last,
    which ends with the picture. `tile` must not exceed `length`.
    """
    return (*range(0, length - tile, tile - overlap), length - tile)
