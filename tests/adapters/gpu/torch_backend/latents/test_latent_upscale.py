"""Latent upscalers (spec sampling.md 6.4). Oracle: [V:latent_upscale], [V:hires_size]."""

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.latents.latent_upscale import (
    MODES,
    crop_latents,
    upscale_latents,
)
from tests.golden.sampling_vectors import distance, section

VECTOR = section("latent_upscale")


@pytest.mark.parametrize("name", VECTOR["out"])
def test_a_ramp(name: str) -> None:
    ramp = torch.tensor(VECTOR["input"]).view(1, 1, 4, 4)
    got = upscale_latents(ramp, (6, 7), name)
    assert got.shape == (1, 1, 6, 7)
    assert distance(got.flatten(), VECTOR["out"][name]) <= 5e-6


def test_every_mode_has_a_vector() -> None:
    assert set(MODES) == set(VECTOR["out"])


def test_pictures_of_a_batch_do_not_mix() -> None:
    latents = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    for name in MODES:
        together = upscale_latents(latents, (9, 11), name)
        for index in range(3):
            alone = upscale_latents(latents[index : index + 1], (9, 11), name)
            assert torch.equal(together[index], alone[0]), name


@pytest.mark.parametrize("case", section("hires_size"), ids=str)
def test_cropping(case: dict) -> None:
    """[V:hires_size]: which cells are left."""
    width, height = case["latent_before_crop"]
    cells = torch.arange(width * height).view(1, 1, height, width)
    (left, right), (top, bottom) = case["crop_x"], case["crop_y"]
    got = crop_latents(cells, tuple(case["truncate"]))
    assert torch.equal(got, cells[..., top:bottom, left:right])
