"""Where the tiles of a picture lie, along one axis. Source: spec images.md 9.3, 9.4, 13.4."""


def even_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """As few tiles as overlap by at least `overlap`, evenly spread.

    Without a tile's length of picture the one tile ends with it and begins before it, below 0.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0.0
    starts = (int(number * step) for number in range(count))
    return tuple(length - tile if start + tile >= length else start for start in starts)


def stepped_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Tiles that overlap by `overlap`, but for the last, which ends with the picture.

    `tile` is at most `length`.
    """
    return (*range(0, length - tile, tile - overlap), length - tile)
