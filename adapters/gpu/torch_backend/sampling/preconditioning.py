"""How a sampler's question becomes a network's, and the network's answer a prediction.

A `Preconditioning` is the difference between the spaces samplers step in and the kinds of network
there are (spec sampling.md 2.3 and 2.4). All are cheap: scalings of whole tensors.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import NoiseTable, consistency_table
from hexfusion.domain.sampling.samplers import Sampler


class Preconditioning(Protocol):
    """`level` is what the sampler yields: a 0-dim sigma or training time.

    `masks_input`: under a mask the kept part is put into the question, not into the answer.
    """

    masks_input: ClassVar[bool]

    def time(self, level: Tensor) -> Tensor:
        """The network's time: 0-dim float32, possibly fractional."""

    def network_input(self, x: Tensor, level: Tensor) -> Tensor:
        """x as the network wants it scaled."""

    def prediction(self, x: Tensor, output: Tensor, level: Tensor) -> Tensor:
        """What the sampler wants to be sent: denoised latent, or noise in timestep space."""

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """The clean latent that a prediction means: what a preview shows."""


@dataclass(frozen=True, eq=False)
class SigmaSpace:
    """Sampler in sigmas; network of noise, or of velocity with `v_prediction`."""

    table: NoiseTable
    v_prediction: bool = False

    masks_input: ClassVar[bool] = False

    def time(self, level: Tensor) -> Tensor:
        return self.table.sigma_to_t(level)

    def network_input(self, x: Tensor, level: Tensor) -> Tensor:
        return x * (1 / sqrt(level**2 + 1))

    def prediction(self, x: Tensor, output: Tensor, level: Tensor) -> Tensor:
        if self.v_prediction:
            variance = level**2 + 1
            return output * (-level / sqrt(variance)) + x * (1 / variance)
        return x + output * -level

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return prediction


@dataclass(frozen=True, eq=False)
class ConsistencySpace:
    """Sampler in sigmas; a latent consistency model (Luo et al. 2023, arXiv:2310.04378).

    The skip and output weights make the model the identity at time 0. Its table is quantised.
    """

    table: NoiseTable

    DATA_VARIANCE: ClassVar[float] = 0.5**2
    TIME_SCALE: ClassVar[float] = 10.0
    masks_input: ClassVar[bool] = False

    def time(self, level: Tensor) -> Tensor:
        return self.table.sigma_to_t(level)

    def network_input(self, x: Tensor, level: Tensor) -> Tensor:
        return x * (1 / sqrt(level**2 + 1))

    def prediction(self, x: Tensor, output: Tensor, level: Tensor) -> Tensor:
        scaled = self.time(level) * self.TIME_SCALE
        variance = scaled**2 + self.DATA_VARIANCE
        clean = x + output * -level
        return scaled / sqrt(variance) * clean + self.DATA_VARIANCE / variance * x

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return prediction


@dataclass(frozen=True, eq=False)
class TimestepSpace:
    """Sampler in training times; the network sees x unscaled and predicts its noise."""

    table: NoiseTable
    v_prediction: bool = False

    masks_input: ClassVar[bool] = True

    def time(self, level: Tensor) -> Tensor:
        return level

    def network_input(self, x: Tensor, level: Tensor) -> Tensor:
        return x

    def prediction(self, x: Tensor, output: Tensor, level: Tensor) -> Tensor:
        if not self.v_prediction:
            return output
        alpha = self._alpha(level)
        return sqrt(alpha) * output + sqrt(1 - alpha) * x

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        alpha = self._alpha(level)
        return (x - sqrt(1 - alpha) * prediction) / sqrt(alpha)

    def _alpha(self, level: Tensor) -> Tensor:
        return self.table.alphas_cumprod[level.long()].to(torch.float32)


def preconditioning(sampler: Sampler, table: NoiseTable, *, v_prediction: bool) -> Preconditioning:
    """The one that a sampler and a network of either kind need."""
    if sampler.space == "timestep":
        return TimestepSpace(table, v_prediction)
    if sampler.consistency:
        return ConsistencySpace(table)
    return SigmaSpace(table, v_prediction)


def sampling_table(sampler: Sampler, table: NoiseTable) -> NoiseTable:
    """The table a sampler's schedule is built on: LCM steps through its own 50 times."""
    return consistency_table(table) if sampler.consistency else table
