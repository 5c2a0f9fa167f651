"""Preconditioning: scaling a sampler's latent for the network, and its output to a prediction.

A `Preconditioning` converts between a sampler's space (sigmas or timesteps) and a kind of network
(noise, v or consistency prediction); see spec sampling.md 2.3 and 2.4.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import NoiseTable, consistency_table
from hexfusion.domain.sampling.samplers import Sampler


class Preconditioning(Protocol):
    """Converts between a sampler's space and the network's.

    `level` is what the sampler yields: a 0-dim sigma or training time. `masks_input`: a mask's kept
    part is restored in the denoiser's input, not in its output.
    """

    masks_input: ClassVar[bool]

    def time(self, level: Tensor) -> Tensor:
        """The timestep passed to the network: 0-dim float32, may be fractional."""

    def network_input(self, x: Tensor, level: Tensor) -> Tensor:
        """x scaled for the network."""

    def prediction(self, x: Tensor, output: Tensor, level: Tensor) -> Tensor:
        """The sampler's prediction from the network's output: denoised latent, or in timestep space
        noise."""

    def clean(self, x: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """The clean latent that a prediction implies, for previews."""


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
    """The preconditioning for a sampler and a network of noise or, with `v_prediction`, of v."""
    if sampler.space == "timestep":
        return TimestepSpace(table, v_prediction)
    if sampler.consistency:
        return ConsistencySpace(table)
    return SigmaSpace(table, v_prediction)


def sampling_table(sampler: Sampler, table: NoiseTable) -> NoiseTable:
    """The table a sampler's schedule is built on: LCM steps through its own 50 times."""
    return consistency_table(table) if sampler.consistency else table
