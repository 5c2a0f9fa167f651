"""The beta distribution's quantile, which the Beta schedule is spaced by."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.adapters.gpu.torch_backend.sampling.beta_distribution import beta_cdf, beta_quantile


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.25, 0.5, 0.9, 0.9999])
def test_closed_forms(probability: float) -> None:
    """Uniform, arcsine and the two one-sided powers have formulas."""
    p = probability
    assert beta_quantile(p, 1, 1) == pytest.approx(p, rel=1e-13)
    assert beta_quantile(p, 0.5, 0.5) == pytest.approx(math.sin(math.pi * p / 2) ** 2, rel=1e-12)
    assert beta_quantile(p, 3, 1) == pytest.approx(p ** (1 / 3), rel=1e-13)
    assert beta_quantile(p, 1, 4) == pytest.approx(1 - (1 - p) ** 0.25, rel=1e-12)


def test_ends() -> None:
    assert beta_quantile(0.0, 0.6, 0.6) == 0.0
    assert beta_quantile(1.0, 0.6, 0.6) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_quantile_inverts_the_distribution(p: float, a: float, b: float) -> None:
    """The true quantile lies within 1e-12 of ours: I_x is below p on one side, above on the other.

    The option's range is 0.01 to 1; below 0.05 quantiles reach the smallest doubles.
    """
    x = beta_quantile(p, a, b)
    below, above = x - 1e-12, x + 1e-12
    assert below <= 0 or beta_cdf(below, a, b) <= p + 1e-12
    assert above >= 1 or beta_cdf(above, a, b) >= p - 1e-12
