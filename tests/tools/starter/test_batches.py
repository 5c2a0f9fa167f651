"""What a polishing run sees: little noise, and captions of other pictures there alone."""

import numpy as np
import torch

from tools.starter.batches import FADE, FOREIGN_UNTIL, draw_batch, foreign
from tools.starter.schedule import low_timesteps
from tools.starter.tokens import row_ids
from tools.starter.world import Picture, Thing


def test_captions_are_foreign_where_little_noise_lies_on_the_picture():
    generator = torch.Generator().manual_seed(1)
    low = foreign(torch.full((4000,), FOREIGN_UNTIL), generator)
    high = foreign(torch.full((4000,), FOREIGN_UNTIL + FADE), generator)
    assert 0.55 < low.float().mean() < 0.65
    assert not high.any()


def test_most_timesteps_are_low_and_some_are_not():
    t = low_timesteps(4000, 16, torch.Generator().manual_seed(1))
    assert 0.65 < (t < 600).float().mean() < 0.85
    assert t.max() > 900


def test_a_batch_without_polish_keeps_every_caption():
    """All pictures but one show a red circle; only a polished batch names what is not there."""
    pictures = [
        Picture("blue", (Thing("circle", "red"),)),
        Picture("white", (Thing("cat", "pink"),)),
    ]
    store = (np.zeros((2, 4, 8, 8), np.float16), pictures)
    store[0][1] = 1  # the second picture's latents, told apart by their mean
    cat = row_ids("cat")[0]

    def mismatches(polish: bool) -> int:
        generator, rng = torch.Generator().manual_seed(2), np.random.default_rng(2)
        batch = draw_batch(store, 200, rng, generator, polish)
        a = (batch.snr / (1 + batch.snr)).sqrt().view(-1, 1, 1, 1)
        clean = (batch.x - (1 - a * a).sqrt() * batch.target) / a
        shown = clean.mean((1, 2, 3)) > 0.5
        named = (batch.rows == cat).any(1)
        return int((named & ~shown & (batch.t < FOREIGN_UNTIL)).sum())

    assert mismatches(polish=False) == 0
    assert mismatches(polish=True) > 5
