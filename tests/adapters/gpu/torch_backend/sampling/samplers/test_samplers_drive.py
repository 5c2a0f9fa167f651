"""The driver: progress, stopping (spec api.md 11.3), and samplers that never ask."""

from collections.abc import Generator

import pytest
import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.loop import sample
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import noise_table
from hexfusion.adapters.gpu.torch_backend.sampling.preconditioning import SigmaSpace
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import Trajectory


class Shifted(SigmaSpace):
    """A space in which what is clean is a hundred more than what is predicted."""

    def __init__(self) -> None:
        super().__init__(noise_table())

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return prediction + 100


class Halving:
    """A denoiser whose answer is half of x, and its clean latent that plus a hundred."""

    latest: Prediction

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        self.calls += 1
        self.latest = Prediction(Shifted(), x, level, x / 2, x / 2, x / 2)
        return x / 2


def countdown(x: Tensor, steps: int, closed: list[bool] | None = None) -> Trajectory:
    try:
        for step in range(steps, 0, -1):
            x = yield x, torch.tensor(float(step))
        return x
    except GeneratorExit:
        (closed if closed is not None else []).append(True)
        raise


def test_a_sampler_runs_to_its_end() -> None:
    heard: list[tuple[int, float]] = []

    def observe(calls: int, latest: Prediction) -> bool:
        heard.append((calls, latest.clean().item()))
        return False

    x = sample(countdown(torch.tensor(8.0), 3), Halving(), observe)
    assert x == 1.0
    assert heard == [(1, 104.0), (2, 102.0), (3, 101.0)]


@pytest.mark.parametrize(("stop_after", "want"), [(1, 104.0), (2, 102.0)])
def test_stopping_returns_the_clean_latent_seen_last(stop_after: int, want: float) -> None:
    """The next model call is not made, and the sampler is closed."""
    denoise, closed = Halving(), []
    sampler = countdown(torch.tensor(8.0), 3, closed)
    x = sample(sampler, denoise, lambda calls, latest: calls >= stop_after)
    assert x == want
    assert denoise.calls == stop_after
    assert closed == [True]


def test_a_stop_at_the_last_call_changes_nothing() -> None:
    """A1111 looks at its flags before a call, and there is none left."""
    x = sample(countdown(torch.tensor(8.0), 3), Halving(), lambda calls, latest: calls == 3)
    assert x == 1.0


def test_a_sampler_that_never_asks() -> None:
    """DDIM with one step makes no call."""
    x = sample(countdown(torch.tensor(8.0), 0), Halving(), lambda calls, latest: True)
    assert x == 8.0


def test_errors_of_the_model_come_through_and_close_the_sampler() -> None:
    def failing(x: Tensor, level: Tensor) -> Tensor:
        raise RuntimeError("no memory")

    failing.latest = None  # type: ignore[attr-defined]
    sampler: Generator = countdown(torch.tensor(8.0), 3)
    with pytest.raises(RuntimeError, match="no memory"):
        sample(sampler, failing, lambda calls, latest: False)  # type: ignore[arg-type]
