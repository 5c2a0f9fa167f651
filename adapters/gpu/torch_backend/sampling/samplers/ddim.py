"""DDIM, and its CFG++ variant: steps through training times on the predicted noise."""

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.timesteps import Level, levels
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun, Trajectory


def ddim(x: Tensor, timesteps: Tensor, run: SamplerRun) -> Trajectory:
    """Song et al. 2020 (arXiv:2010.02502), eq. 12. The run ends at the first listed time, not 0."""
    for level in levels(timesteps, run):
        noise = yield x, level.time
        x = _step(x, level, noise, noise, run)
    return x


def ddim_cfgpp(x: Tensor, timesteps: Tensor, run: SamplerRun) -> Trajectory:
    """Chung et al. 2024 (arXiv:2406.08070): renoise with the unconditional prediction.

    Is sent both predictions, stacked (2, B, C, H, W): guided first, unconditional second.
    """
    for level in levels(timesteps, run):
        guided, unconditional = yield x, level.time
        x = _step(x, level, guided, unconditional, run)
    return x


def _step(x: Tensor, level: Level, noise: Tensor, renoise: Tensor, run: SamplerRun) -> Tensor:
    """Predict the clean latent with `noise`, go back out along `renoise`."""
    clean = level.clean(x, noise)
    outward = sqrt(1 - level.next_alpha - level.spread**2) * renoise
    return sqrt(level.next_alpha) * clean + outward + level.spread * run.noise()
