"""The benchmarks' own arithmetic."""

import pytest

from benchmarks.harness import percentile


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.99, 99), (101, 0.99, 100), (10, 0.99, 10), (3, 0, 1)]
)
def test_a_percentile_is_a_value_that_occurred(count, share, expected):
    assert percentile(list(range(count, 0, -1)), share) == expected
