"""How far apart pictures are, and whether a test of pictures could see a difference at all.

"This picture is as before" proves nothing where pictures can hardly differ: a grey that runs from
0x75 to 0x81 looks the same whatever was done to it. So whoever claims that jobs do not mix asks
here first whether mixed pictures would be told apart; and whoever claims that something is seen,
whether it is more than a last bit.
"""

from itertools import combinations

import numpy as np
from PIL.Image import Image

#: Pictures differ if this many of 255 separate them in some channel...
LEAST = 16
#: ...at this share of their pixels.
SHARE = 0.1
#: How far a picture's darkest byte is from its brightest, of 255.
RANGE = 200


def distances(one: Image, other: Image) -> np.ndarray:
    """(height, width): the largest difference of any channel at each pixel, 0 to 255.

    Both are taken as RGB. Raises `AssertionError` for pictures of different sizes.
    """
    assert one.size == other.size, f"pictures of {one.size} and {other.size}"
    a, b = (np.asarray(each.convert("RGB"), dtype=np.int16) for each in (one, other))
    return np.abs(a - b).max(axis=2)


def furthest(one: Image, other: Image) -> int:
    """The largest difference of any channel of any pixel, 0 to 255. Errors as for `distances`."""
    return int(distances(one, other).max())


def assert_wide(*pictures: Image, least: int = RANGE) -> None:
    """Each has a channel that runs from dark to bright: over so many of 255."""
    for index, each in enumerate(pictures):
        ranges = [high - low for low, high in each.convert("RGB").getextrema()]
        assert max(ranges) >= least, f"picture {index} runs over {ranges} only, not {least}"


def assert_differ(*pictures: Image, least: int = LEAST, share: float = SHARE) -> None:
    """Every two differ, by at least so many of 255 at so large a share of their pixels.

    Pictures of different sizes do.
    """
    assert len(pictures) > 1, "nothing to compare"
    for (i, one), (j, other) in combinations(enumerate(pictures), 2):
        if one.size != other.size:
            continue
        apart = distances(one, other)
        seen = float((apart >= least).mean())
        assert seen >= share, (
            f"pictures {i} and {j} differ by {least} or more at {seen:.1%} of their pixels, "
            f"not at {share:.0%}; by {apart.max()} at most, {apart.mean():.1f} on average"
        )


def assert_mixing_would_show(*pictures: Image, least: int = LEAST, share: float = SHARE) -> None:
    """Of jobs that must not mix: each picture is wide, and unlike every other.

    For tests that compare pictures made together with pictures made alone.
    """
    assert_wide(*pictures)
    assert_differ(*pictures, least=least, share=share)
