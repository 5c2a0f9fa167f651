"""The Gaussian that masks are blurred with, in OpenCV's whole numbers. Source: spec images.md 2."""

import math

FRACTION_BITS = 8
"""Weights are counted in 1/256, and add up to 256."""


def kernel_size(radius: float) -> int:
    """Weights that a blur of that radius (its sigma, pixels, above 0) has; odd."""
    return 2 * int(2.5 * radius + 0.5) + 1


def gaussian_weights(radius: float) -> tuple[int, ...]:
    """The weights, each in 1/256, symmetric.

    What a weight loses or gains by rounding is handed to its neighbour inwards, and the one in the
    middle takes what is left, as OpenCV does for 8-bit pictures.
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
