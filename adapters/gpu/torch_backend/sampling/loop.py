"""The sampling loop: passes a sampler's latents to a denoiser, reports progress, can be stopped."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import Trajectory

Observer = Callable[[int, Prediction], bool]
"""Called with (model calls made, latest prediction) after each call; True stops the run."""


class Denoiser(Protocol):
    """Denoises what a sampler yields; `latest` is the prediction of its latest call."""

    @property
    def latest(self) -> Prediction: ...

    def __call__(self, x: Tensor, level: Tensor) -> Tensor: ...


def sample(sampler: Trajectory, denoise: Denoiser, observe: Observer) -> Tensor:
    """Run a sampler to its end and return the final latent (B, C, H, W).

    When the observer stops the run, no more model calls are made and the latest clean latent is
    returned, as in A1111 on interrupt and skip (spec api.md 11.3).
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
