"""Sampling backwards (spec scripts.md 12), driven by formulas in place of a model.

The whole of it against A1111: tests/test_script_recordings, i2i_alt_test."""

import pytest

torch = pytest.importorskip("torch")

from hexfusion.adapters.gpu.torch_backend.sampling.inversion import _adjusted, _backwards  # noqa: E402

pytestmark = pytest.mark.torch

LEVELS = torch.tensor([0.0, 0.5, 2.0, 10.0])


def driven(trajectory, answer):
    """The end of a trajectory, and the levels it asked at."""
    asked = []
    try:
        x, level = next(trajectory)
        while True:
            asked.append(float(level))
            x, level = trajectory.send(answer(x, level))
    except StopIteration as end:
        return end.value, asked


def test_each_step_takes_the_slope_where_it_ends():
    x = torch.tensor([1.0, -1.0, 3.0])
    end, asked = driven(_backwards(x, LEVELS), lambda x, level: torch.zeros_like(x))
    assert asked == [0.5, 2.0, 10.0]
    grown = x * (1 + 0.5 / 0.5) * (1 + 1.5 / 2.0) * (1 + 8.0 / 10.0)
    assert torch.allclose(end, grown / grown.std())


def test_or_where_it_begins_and_from_none_there_is_no_step():
    x = torch.tensor([1.0, -1.0, 3.0])
    end, asked = driven(_adjusted(x, LEVELS), lambda x, level: torch.zeros_like(x))
    assert asked == [0.5, 2.0]
    assert torch.allclose(end, x * (1 + 1.5 / 0.5) * (1 + 8.0 / 2.0) / 10.0)
    alone, asked = driven(_adjusted(x, LEVELS[:2]), lambda x, level: x)
    assert (asked, alone.tolist()) == ([], (x / 0.5).tolist())


def test_a_picture_that_is_noise_is_found():
    """Where the model always answers with the picture's own latent nothing but the scale moves."""
    start = torch.randn(4, generator=torch.Generator().manual_seed(1))
    end, _ = driven(_backwards(start, LEVELS), lambda x, level: x)
    assert torch.allclose(end, start / start.std())
