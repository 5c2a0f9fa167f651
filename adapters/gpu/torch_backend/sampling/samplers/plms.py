"""PLMS: pseudo linear multistep on the predicted noise."""

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.samplers.timesteps import levels
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def plms(x: Tensor, timesteps: Tensor, run: SamplerRun) -> Trajectory:
    """Liu et al. 2022 (arXiv:2202.09778); the first step asks twice, having no history."""
    past: list[Tensor] = []  # newest first
    for level in levels(timesteps, run):
        noise = yield x, level.time
        if past:
            direction = _adams_bashforth(noise, past)
        else:
            below = yield level.move(x, noise), level.next_time
            direction = (noise + below) / 2
        x = level.move(x, direction)
        past = [noise, *past[:2]]
    return x


def _adams_bashforth(noise: Tensor, past: list[Tensor]) -> Tensor:
    """Extrapolate to the middle of the coming step from one, two or three older predictions."""
    match past:
        case [e1]:
            return (3 * noise - e1) / 2
        case [e1, e2]:
            return (23 * noise - 16 * e1 + 5 * e2) / 12
        case _:
            e1, e2, e3 = past
            return (55 * noise - 59 * e1 + 37 * e2 - 9 * e3) / 24
