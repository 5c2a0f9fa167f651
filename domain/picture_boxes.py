"""Sizes and boxes for resizing a picture and for cropping the masked region.

Whole pixels only; no picture is read. Boxes are (left, top, right, bottom), the last two exclusive.
 Source: spec images.md 3 and 4.
"""

import msgspec

Size = tuple[int, int]
Box = tuple[int, int, int, int]


class Fit(msgspec.Struct, frozen=True):
    """Placement of a picture on a canvas: scaled to `size`, its top left corner at `corner`.

    What lies outside the canvas is cropped. `bar` is the (width, height) of each of the two empty
    bars at opposite sides of the canvas, (0, 0) if there are none.
    """

    size: Size
    corner: tuple[int, int]
    bar: Size = (0, 0)


def cover(picture: Size, canvas: Size) -> Fit:
    """Fill the canvas, keeping the aspect ratio; the excess is cropped (resize mode 1)."""
    width, height = canvas
    wider = width / height > picture[0] / picture[1]
    size = (
        width if wider else picture[0] * height // picture[1],
        height if not wider else picture[1] * width // picture[0],
    )
    return Fit(size, _centre(size, canvas))


def contain(picture: Size, canvas: Size) -> Fit:
    """Fit into the canvas, keeping the aspect ratio; bars remain to be filled (resize mode 2)."""
    width, height = canvas
    ratio, own = width / height, picture[0] / picture[1]
    size = (
        width if ratio < own else picture[0] * height // picture[1],
        height if ratio >= own else picture[1] * width // picture[0],
    )
    corner = _centre(size, canvas)
    if ratio < own:
        return Fit(size, corner, (width, corner[1]) if corner[1] else (0, 0))
    return Fit(size, corner, (corner[0], height) if ratio > own and corner[0] else (0, 0))


def _centre(size: Size, canvas: Size) -> tuple[int, int]:
    return canvas[0] // 2 - size[0] // 2, canvas[1] // 2 - size[1] // 2


def padded(box: Box, padding: int, bounds: Size) -> Box:
    """The box enlarged by `padding` pixels on every side, clipped to a picture of size `bounds`."""
    left, top, right, bottom = box
    return (
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, bounds[0]),
        min(bottom + padding, bounds[1]),
    )


def widened(box: Box, working: Size, bounds: Size) -> Box:
    """The box made wider or higher to the aspect ratio of `working`, inside `bounds` if it fits."""
    left, top, right, bottom = box
    wanted = working[0] / working[1]
    if (right - left) / (bottom - top) > wanted:
        top, bottom = _lengthened(top, bottom, int((right - left) / wanted), bounds[1])
    else:
        left, right = _lengthened(left, right, int((bottom - top) * wanted), bounds[0])
    return left, top, right, bottom


def _lengthened(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    more = length - (end - start)
    start, end = start - more // 2, end + more - more // 2
    if end >= limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)
