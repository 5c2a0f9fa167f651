"""Which seed each picture of a job gets. Source: spec sampling.md 1.4, api.md 5.1."""

from collections.abc import Callable, Sequence

#: A random seed is drawn in 0 <= seed < SEED_RANGE.
SEED_RANGE = 4294967294


def resolve_seed(seed: int | None, draw: Callable[[], int]) -> int:
    """The seed itself, or the result of `draw` for -1 and None. Other negative seeds are kept."""
    return draw() if seed is None or seed == -1 else seed


def image_seeds(seed: int, count: int, subseed_strength: float) -> Sequence[int]:
    """Seeds of a job's `count` pictures: ascending, or all equal if `subseed_strength` is not 0."""
    return [seed if subseed_strength else seed + k for k in range(count)]


def image_subseeds(subseed: int, count: int) -> Sequence[int]:
    """Variation seeds of a job's `count` pictures: ascending from `subseed`."""
    return [subseed + k for k in range(count)]
