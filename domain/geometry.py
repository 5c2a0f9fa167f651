"""Integer picture geometry. Source: spec images.md 13.1, sampling.md 6.4."""

import math

import msgspec

CELL = 8
"""Pixels per latent cell, horizontally and vertically."""

OLD_HIRES_AREA = 512 * 512
OLD_HIRES_STEP = 64


class HiresSize(msgspec.Struct, frozen=True):
    """Sizes of both hires-fix passes as (width, height).

    `first` and `target` are in pixels; `crop` is in latent cells, cut off after scaling to
    `target`.
    """

    first: tuple[int, int]
    target: tuple[int, int]
    crop: tuple[int, int] = (0, 0)


def hires_size(
    width: int,
    height: int,
    scale: float,
    resize_x: int = 0,
    resize_y: int = 0,
    *,
    old: bool = False,
) -> HiresSize:
    """Sizes of both passes of a `width` x `height` request (spec sampling.md 6.4).

    All lengths are in pixels. If `resize_x` and `resize_y` are 0, the target is `scale` times as
    large. If one of them is set, it fixes that side and the aspect ratio is kept. If both are set,
    the target covers that size and the excess is cropped. With `old` (option
    use_old_hires_fix_width_height) the request's size is the target, and the first pass is about
    512 x 512.
    """
    if old:
        first = old_first_size(width, height)
        resize_x, resize_y, (width, height) = width, height, first
    if not resize_x and not resize_y:
        return HiresSize((width, height), (int(width * scale), int(height * scale)))
    if not resize_y or (resize_x and width / height < resize_x / resize_y):
        target = resize_x, resize_x * height // width
    else:
        target = resize_y * width // height, resize_y
    cropped = resize_x and resize_y
    crop = (target[0] - resize_x) // CELL, (target[1] - resize_y) // CELL
    return HiresSize((width, height), target, crop if cropped else (0, 0))


def old_first_size(width: int, height: int) -> tuple[int, int]:
    """First-pass size, in multiples of 64 pixels, that early versions of hires fix used for a
    `width` x `height` target."""
    scale = math.sqrt(OLD_HIRES_AREA / (width * height))
    return (
        math.ceil(scale * width / OLD_HIRES_STEP) * OLD_HIRES_STEP,
        math.ceil(scale * height / OLD_HIRES_STEP) * OLD_HIRES_STEP,
    )


def grid_shape(
    count: int, *, batch_size: int = 1, n_rows: int = -1, prevent_empty_spots: bool = False
) -> tuple[int, int]:
    """(rows, columns) of a grid of `count` pictures.

    `n_rows` above 0 sets the number of rows, 0 means `batch_size` rows, below 0 a roughly square
    grid; in that case `prevent_empty_spots` chooses the squarest shape without empty cells.
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
