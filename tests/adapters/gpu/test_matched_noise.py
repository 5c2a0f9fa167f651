"""Spec scripts.md 10: noise like a picture."""

import numpy as np
from PIL import Image

from hexfusion.adapters.gpu.matched_noise import matched_noise

PICTURE = Image.merge("RGB", [Image.effect_noise((96, 64), s) for s in (20, 60, 90)])
MASK = Image.new("RGB", PICTURE.size, "white")
MASK.paste("black", (32, 0, 96, 64))


def test_what_is_not_masked_stays():
    made = matched_noise(PICTURE, MASK, 1.0, 0.05)
    box = (32, 0, 96, 64)
    differences = np.asarray(made.crop(box)).astype(int) - np.asarray(PICTURE.crop(box))
    assert np.abs(differences).max() <= 1  # through fractions and back
    assert made.crop((0, 0, 32, 64)).tobytes() != PICTURE.crop((0, 0, 32, 64)).tobytes()


def test_noise_has_the_pictures_values():
    made = np.asarray(matched_noise(PICTURE, MASK, 1.0, 0.05))[:, :32].reshape(-1, 3)
    seen = np.asarray(PICTURE)[:, 32:].reshape(-1, 3)
    for share in (10, 50, 90):
        assert np.abs(np.percentile(made, share, 0) - np.percentile(seen, share, 0)).max() <= 3


def test_it_is_always_the_same_and_its_numbers_matter():
    one = matched_noise(PICTURE, MASK, 1.0, 0.05).tobytes()
    assert matched_noise(PICTURE, MASK, 1.0, 0.05).tobytes() == one
    assert matched_noise(PICTURE, MASK, 2.0, 0.05).tobytes() != one
    assert matched_noise(PICTURE, MASK, 1.0, 0.9).tobytes() != one


def test_a_picture_of_one_colour_and_masks_without_an_inside_are_no_problem():
    """A1111 divides by 0 there."""
    for colour in ("black", "white", "red"):
        flat = Image.new("RGB", (64, 64), colour)
        half = Image.new("RGB", (64, 64), "white")
        half.paste("black", (32, 0, 64, 64))
        assert matched_noise(flat, half, 1.0, 0.05).crop((33, 0, 64, 64)).getcolors() == [
            (31 * 64, flat.getpixel((0, 0)))
        ]
        for mask in ("white", "black"):
            assert matched_noise(flat, Image.new("RGB", (64, 64), mask), 1.0, 0.05).size == (64, 64)
