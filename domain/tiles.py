"""Positions of the tiles that a picture is processed in.

Source: spec images.md 9.3, 9.4, 13.4.
"""

from hexfusion.domain.picture_boxes import Box, Size


def even_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Start of each tile on one axis: the fewest tiles of length `tile` that cover `length` with
    an overlap of at least `overlap`, evenly spaced. All lengths are in pixels.

    The last tile ends with the picture; if that is shorter than a tile, the only one starts below
    0. In A1111 rounding may end the last tile a pixel early, which leaves a black line.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    starts = (int(number * step) for number in range(count - 1))
    return (*starts, length - tile)


def box_count(size: Size, tile: Size, overlap: int) -> int:
    """How many `boxes` there are, which may be more than could be listed."""
    (width, height), (across, down) = size, tile
    columns = max(1, -(-(width - overlap) // (across - overlap)))
    return columns * max(1, -(-(height - overlap) // (down - overlap)))


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
