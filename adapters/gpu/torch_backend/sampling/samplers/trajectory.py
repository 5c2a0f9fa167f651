"""`Trajectory`, the type of a running sampler, and `SamplerRun`, its parameters."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

from torch import Tensor

from hexfusion.domain.sampling.options import SamplingOptions

Trajectory = Generator[tuple[Tensor, Tensor], Tensor, Tensor]
"""A running sampler, as a generator.

Yields (x, level): a latent (B, C, H, W) float32 and its noise level, a 0-dim float32 CPU tensor (a
sigma, or a training time in timestep space). Is sent the model's answer of x's shape: the denoised
latent in sigma space, the predicted noise in timestep space. Returns the final latent.
"""

Draw = Callable[[], Tensor]
BrownianDraw = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class SigmaLimits:
    """The range and number of calls of the samplers that make their own schedule."""

    sigma_min: float
    sigma_max: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class SamplerRun:
    """Everything a sampler needs besides the latent and its schedule.

    `noise` is the next draw of the per-image source, `brownian` the noise between two sigmas (SDE
    samplers only). `limits` replaces the schedule for DPM fast and adaptive; None reads it off the
    given sigmas. `alphas_cumprod` (1000,) is for timestep samplers; `from_image` tells UniPC that
    the run starts from a picture. `options` carries UniPC's settings.
    """

    noise: Draw
    brownian: BrownianDraw | None = None
    eta: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    limits: SigmaLimits | None = None
    alphas_cumprod: Tensor | None = None
    from_image: bool = False
    options: SamplingOptions = SamplingOptions()
