"""Formulas shared by several samplers: slope, log SNR, ancestral steps, churn (sampling.md 4)."""

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import exp, log, sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun

MAX_CHURN = 2**0.5 - 1


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability-flow ODE, Karras et al. 2022 (arXiv:2206.00364), eq. 3."""
    return (x - denoised) / sigma


def log_snr(sigma: Tensor) -> Tensor:
    """lambda = -ln sigma, the time in which exponential integrators step."""
    return -log(sigma)


def from_log_snr(value: Tensor) -> Tensor:
    return exp(-value)


def ancestral_split(sigma: Tensor, target: Tensor, eta: float) -> tuple[Tensor, Tensor | float]:
    """(sigma_down, sigma_up): step down this far, then add this much fresh noise to reach `target`.

    `eta` 0 steps all the way and adds none, 1 is full ancestral sampling.
    """
    if not eta:
        return target, 0.0
    up = eta * sqrt(target**2 * (sigma**2 - target**2) / sigma**2)
    up = up.minimum(target)
    return sqrt(target**2 - up**2), up


def churn(x: Tensor, sigma: Tensor, steps: int, run: SamplerRun) -> tuple[Tensor, Tensor]:
    """Add a little noise and the sigma to match, Karras et al. 2022, Alg. 2 lines 4 to 6.

    The noise is drawn even when there is no churn, because later draws depend on it.
    """
    inside = run.s_tmin <= sigma <= run.s_tmax
    gamma = min(run.s_churn / steps, MAX_CHURN) if inside else 0.0
    noise = run.noise()
    raised = sigma * (gamma + 1)
    if gamma > 0:
        x = x + noise * run.s_noise * sqrt(raised**2 - sigma**2)
    return x, raised
