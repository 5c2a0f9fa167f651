"""Integer picture geometry. Source: spec images.md 13.1."""

import math


def grid_shape(
    count: int, *, batch_size: int = 1, n_rows: int = -1, prevent_empty_spots: bool = False
) -> tuple[int, int]:
    """(rows, columns) of a grid of `count` pictures.

    `n_rows` above 0 fixes the rows, 0 takes the batch size, below 0 makes it about square; then
    `prevent_empty_spots` takes the squarest shape without a gap.
    """
    if n_rows > 0:
        rows = n_rows
    elif n_rows == 0:
        rows = batch_size
    elif prevent_empty_spots:
        rows = next(r for r in range(math.isqrt(count), 0, -1) if count % r == 0)
    else:
        rows = round(math.sqrt(count))
    rows = min(rows, count)
    return rows, -(-count // rows)
