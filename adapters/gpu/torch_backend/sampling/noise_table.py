"""The model's noise table: the noise level (sigma) of each training timestep.

Source: spec sampling.md 2.1, 2.2 and 2.4. Everything lives on the CPU: the numbers are few, and a
sampler that reads them must not wait for a GPU.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import exp, log, sqrt

TRAIN_TIMESTEPS = 1000
BETA_START, BETA_END = 0.00085, 0.0120
ZERO_SNR_LAST_ALPHA = 4.8973451890853435e-08
"""Stands for zero where a zero would make the last sigma infinite."""

LCM_STRIDE = 20


@dataclass(frozen=True, eq=False)
class NoiseTable:
    """alphas_cumprod and what follows from it.

    `alphas_cumprod` is (n,) float32, falling. Entry k belongs to the training time
    `offset + stride * k`; only the latent consistency table has a stride other than 1.
    With `quantize` a sigma maps to the nearest entry's time, else to a fractional time.
    """

    alphas_cumprod: Tensor
    quantize: bool = False
    stride: int = 1
    offset: int = 0

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    @cached_property
    def sigmas(self) -> Tensor:
        """(n,) noise levels sqrt((1 - alpha) / alpha), rising."""
        return sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)

    @cached_property
    def log_sigmas(self) -> Tensor:
        return log(self.sigmas)

    @cached_property
    def sigma_min(self) -> float:
        return self.sigmas[0].item()

    @cached_property
    def sigma_max(self) -> float:
        return self.sigmas[-1].item()

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        """The training time of a 0-dim `sigma`: a 0-dim float32 tensor."""
        log_sigma = log(sigma)
        if self.quantize:
            nearest = (log_sigma - self.log_sigmas).abs().argmin()
            return (nearest * self.stride + self.offset).to(torch.float32)
        low = ((self.log_sigmas <= log_sigma).sum() - 1).clamp(0, len(self) - 2)
        below, above = self.log_sigmas[low], self.log_sigmas[low + 1]
        share = ((below - log_sigma) / (below - above)).clamp(0, 1)
        return (1 - share) * low + share * (low + 1)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """The noise level at times `t` of any shape, log-linear between the table's entries."""
        entry = ((t.to(torch.float32) - self.offset) / self.stride).clamp(0, len(self) - 1)
        low, high = entry.floor().long(), entry.ceil().long()
        share = entry.frac()
        return exp((1 - share) * self.log_sigmas[low] + share * self.log_sigmas[high])

    def uniform(self, steps: int) -> Tensor:
        """`steps` noise levels evenly spaced in time, and a final 0: (steps + 1,)."""
        last = self.offset + self.stride * (len(self) - 1)
        times = torch.linspace(last, self.offset, steps)
        return torch.cat([self.t_to_sigma(times), torch.zeros(1)])


def stable_diffusion_alphas() -> Tensor:
    """(1000,) float32 alphas_cumprod of SD1, SD2 and SDXL: betas linear in their square root."""
    roots = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_TIMESTEPS, dtype=torch.float64)
    return (1 - roots**2).cumprod(0).to(torch.float32)


def noise_table(
    alphas_cumprod: Tensor | None = None,
    *,
    quantize: bool = False,
    downcast: bool = False,
    zero_terminal_snr: bool = False,
) -> NoiseTable:
    """The table of a model under the options that change it, in A1111's order.

    `alphas_cumprod` is the checkpoint's own tensor where it has one (any float dtype).
    `downcast` rounds to float16, as a table stored in half precision would be. `zero_terminal_snr`
    rescales so that the last time is all noise (Lin et al. 2023, arXiv:2305.08891).
    """
    alphas = stable_diffusion_alphas() if alphas_cumprod is None else alphas_cumprod
    alphas = alphas.detach().to("cpu", torch.float32)
    if downcast:
        alphas = alphas.half()
    if zero_terminal_snr:
        alphas = rescale_to_zero_terminal_snr(alphas)
    return NoiseTable(alphas, quantize=quantize)


def rescale_to_zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Shift and stretch sqrt(alpha) so that it ends at zero and still starts where it did."""
    roots = sqrt(alphas_cumprod)
    first, last = roots[0].clone(), roots[-1].clone()
    rescaled = ((roots - last) * (first / (first - last))) ** 2
    rescaled[-1] = ZERO_SNR_LAST_ALPHA
    return rescaled


def consistency_table(table: NoiseTable) -> NoiseTable:
    """Every 20th entry: the 50 times a latent consistency model was distilled at (spec 2.4)."""
    offset = LCM_STRIDE - 1
    return NoiseTable(
        table.alphas_cumprod[offset::LCM_STRIDE], quantize=True, stride=LCM_STRIDE, offset=offset
    )
