"""The step at which the refiner takes over (spec sampling.md 5.4)."""

TRAIN_STEPS = 1000


def share_of_noise(index: int) -> float:
    """Completed share, 0 to 1, at entry `index` of the model's noise table (0: least noise).

    The noise table of a latent consistency model has fewer entries; A1111 uses the same formula, so
    there the refiner takes over at once.
    """
    return (TRAIN_STEPS - 1 - index) / TRAIN_STEPS


def refiner_is_due(share: float, switch_at: float | None) -> bool:
    """Whether the refiner makes the model call at which `share`, 0 to 1, of the run is done."""
    return switch_at is None or share >= switch_at
