"""Gaussian kernel for blurring masks, in the fixed-point weights that OpenCV uses.

Source: spec images.md 2.
"""

import math

FRACTION_BITS = 8
"""Weights are counted in 1/256, and add up to 256."""


def kernel_size(radius: float) -> int:
    """Number of weights (odd) of a blur whose sigma is `radius`, in pixels, above 0."""
    return 2 * int(2.5 * radius + 0.5) + 1


def gaussian_weights(radius: float) -> tuple[int, ...]:
    """The kernel: `kernel_size(radius)` integer weights in units of 1/256, symmetric, sum 256.

    As in OpenCV for 8-bit pictures, the rounding error of each weight is carried over to the next
    one towards the centre, and the centre weight takes the remainder.
    """
    reach = kernel_size(radius) // 2
    falling = [math.exp(-(x * x) / (2 * radius * radius)) for x in range(reach, 0, -1)]
    total = 2 * sum(falling) + 1
    whole = 1 << FRACTION_BITS
    side: list[int] = []
    error = 0.0
    for value in falling:
        exact = value / total * whole + error
        side.append(round(exact))
        error = exact - side[-1]
    return (*side, whole - 2 * sum(side), *reversed(side))
