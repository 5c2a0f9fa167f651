"""The driver: puts a sampler's questions to a denoiser, and lets someone watch and stop it."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.run import Trajectory

Observer = Callable[[int, Tensor], bool]
"""Hears (model calls made, latent to show (B, C, H, W)) after each call; True stops the run."""


class Denoiser(Protocol):
    """Answers what a sampler yields; `clean` is what its latest answer looks like, `shown` what
    previews show of it."""

    @property
    def clean(self) -> Tensor: ...

    @property
    def shown(self) -> Tensor: ...

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
            clean = denoise.clean
            stop = observe(calls, denoise.shown)
            x, level = sampler.send(answer)
            if stop:
                sampler.close()
                return clean
    except StopIteration as end:
        return end.value
