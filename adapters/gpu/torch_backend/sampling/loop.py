"""The sampling loop: asks a denoiser what a sampler yields; someone may watch, and stop it."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import Trajectory

Observer = Callable[[int, Prediction], bool]
"""Hears (model calls made, what the latest predicted) after each call; True stops the run."""


class Denoiser(Protocol):
    """Answers what a sampler yields; `latest` is what its latest call predicted."""

    @property
    def latest(self) -> Prediction: ...

    def __call__(self, x: Tensor, level: Tensor) -> Tensor: ...


def sample(sampler: Trajectory, denoise: Denoiser, observe: Observer) -> Tensor:
    """Run a sampler to its end and return the final latent (B, C, H, W).

    When the observer asks to stop, the next model call is not made and the clean latent seen last
    is returned, as A1111 does on interrupt and skip (spec api.md 11.3).
    """
    calls = 0
    try:
        x, level = next(sampler)
        while True:
            answer = denoise(x, level)
            calls += 1
            latest = denoise.latest
            stop = observe(calls, latest)
            x, level = sampler.send(answer)
            if stop:
                sampler.close()
                return latest.clean()
    except StopIteration as end:
        return end.value
