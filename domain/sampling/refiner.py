"""When the refiner takes over (spec sampling.md 5.4)."""

TRAIN_STEPS = 1000


def share_of_noise(index: int) -> float:
    """Share of the noise gone at entry `index` (0 the least noisy) of the model's noise table.

    A latent consistency model's table has fewer entries; there A1111 counts the same, and so the
    refiner comes at once.
    """
    return (TRAIN_STEPS - 1 - index) / TRAIN_STEPS


def refiner_is_due(share: float, switch_at: float | None) -> bool:
    """Whether a model call is the refiner's when `share`, 0 to 1, of the run is done."""
    return switch_at is None or share >= switch_at
