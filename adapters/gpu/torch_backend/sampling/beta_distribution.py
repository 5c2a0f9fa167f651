"""Quantiles of the beta distribution, which the Beta schedule is spaced by.

Written out so that one schedule does not make all of SciPy a dependency.
"""

from functools import lru_cache
from math import exp, lgamma, log, log1p

TINY = 1e-300
MAX_TERMS = 300
MAX_HALVINGS = 200


@lru_cache(maxsize=4096)
def beta_quantile(probability: float, a: float, b: float) -> float:
    """x in [0, 1] with I_x(a, b) = `probability`, to double precision; a, b > 0.

    Newton steps, kept inside a shrinking bracket: the density may be infinite at either end.
    """
    if probability <= 0.0:
        return 0.0
    if probability >= 1.0:
        return 1.0
    low, high, x = 0.0, 1.0, a / (a + b)
    log_beta = lgamma(a) + lgamma(b) - lgamma(a + b)
    for _ in range(MAX_HALVINGS):
        excess = beta_cdf(x, a, b) - probability
        low, high = (low, x) if excess > 0 else (x, high)
        density = exp((a - 1) * log(x) + (b - 1) * log1p(-x) - log_beta)
        step = x - excess / density
        following = step if low < step < high else (low + high) / 2
        if abs(following - x) <= 1e-16 * x or following in (low, high):
            return following
        x = following
    return x


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), 0 < x < 1.

    Continued fraction DLMF 8.17.22, on the side of the mean where it converges fast.
    """
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    log_front = a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)
    return exp(log_front) / (a * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) by the modified Lentz method."""
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, MAX_TERMS):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / ((1.0 + term * d) or TINY)
        c = (1.0 + term / c) or TINY
        value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value
