"""Soft inpainting on latents (spec images.md 8): its formulas, written down once more, plainly."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hexfusion.adapters.gpu.torch_backend.latents.soft_mask import (  # noqa: E402
    SoftMask,
    changed_masks,
    mixed,
    ranked_mean,
)
from hexfusion.domain.scripts.soft_inpainting import SoftInpainting  # noqa: E402

pytestmark = pytest.mark.torch


def latents(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(seed))


def test_a_mix_has_a_length_between_both():
    old, new, share = latents(1), latents(2) * 3, torch.rand(6, 5)
    mix = mixed(old, new, share, 4)
    for y, x in ((0, 0), (3, 2), (5, 4)):
        t, a, b = share[y, x].item(), old[1, :, y, x].double(), new[1, :, y, x].double()
        v = a * (1 - t) + b * t
        wanted = (a.norm() ** 4 * (1 - t) + b.norm() ** 4 * t) ** 0.25
        assert torch.allclose(mix[1, :, y, x].double(), v * wanted / (v.norm() + 1e-5), atol=1e-5)


@pytest.mark.parametrize("level", [14.6, 1.0, 0.03])
def test_the_old_picture_shines_through_less_at_high_noise(level):
    settings = SoftInpainting(power=0.7, scale=0.4)
    old, new, repaint = latents(1), latents(2), torch.rand(6, 5)
    blended = SoftMask(old, repaint, settings).blend(new, torch.tensor(level))
    assert torch.allclose(blended, mixed(old, new, repaint ** (level**0.7 * 0.4), 4), atol=1e-5)


def test_outside_and_inside_the_mask():
    old, new = latents(1), latents(2)
    repaint = torch.zeros(6, 5)
    repaint[:, 3:] = 1
    mask = SoftMask(old, repaint, SoftInpainting())
    blended = mask.blend(new, torch.tensor(2.0))
    assert torch.allclose(blended[..., :3], old[..., :3], atol=1e-4)
    assert torch.allclose(blended[..., 3:], new[..., 3:], atol=1e-4)
    assert mask.finish(new) is new


def weight_at(distance: float) -> float:
    edge = math.exp(-9 / 1.5**2)
    return (math.exp(-((distance / 1.5) ** 2)) - edge) / (1 - edge)


def plainly(values, low, high):
    """One cell after the other."""
    found = np.zeros_like(values)
    height, width = values.shape
    for y in range(height):
        for x in range(width):
            near = sorted(
                (values[j, i], weight_at(math.dist((j, i), (y, x))))
                for j in range(max(0, y - 2), min(height, y + 3))
                for i in range(max(0, x - 2), min(width, x + 3))
            )
            total = sum(weight for _, weight in near)
            first, last = low * total, high * total
            if last - first < 1:
                first = (first + last) / 2 - 0.5
                last = first + 1
                if last > total:
                    first, last = first - (last - total), total
                if first < 0:
                    first, last = 0, 1
            at = amount = weighted = 0.0
            for value, weight in near:
                part = max(0.0, min(at + weight, last) - max(at, first))
                amount, weighted, at = amount + part, weighted + part * value, at + weight
            found[y, x] = weighted / amount
    return found


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.0), (0.25, 0.75), (0.0, 0.1)])
def test_the_ranked_mean(low, high):
    values = np.random.default_rng(3).random((7, 9))
    assert np.allclose(ranked_mean(values, low, high), plainly(values, low, high))


def test_where_nothing_changed_the_mask_is_black_and_where_all_did_white():
    old = latents(1)
    for final, expected in ((old, 0), (old + 1e6, 255)):
        for mask in changed_masks(old, final, torch.full((6, 5), 0.5), SoftInpainting()):
            assert (mask.mode, mask.size) == ("L", (5, 6))
            assert set(mask.tobytes()) == {expected}
