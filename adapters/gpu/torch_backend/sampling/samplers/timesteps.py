"""Training times as noise levels, for the samplers that step through them (spec 4.16)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.float32_math import sqrt
from hexfusion.adapters.gpu.torch_backend.sampling.samplers.trajectory import SamplerRun


@dataclass(frozen=True, eq=False)
class Level:
    """A time of the list and the next lower one; all 0-dim float32 CPU tensors.

    `alpha` and `next_alpha` are alphas_cumprod at the two times, `spread` the deviation of the
    fresh noise that the run's eta puts into the step between them.
    """

    time: Tensor
    next_time: Tensor
    alpha: Tensor
    next_alpha: Tensor
    spread: Tensor

    def clean(self, x: Tensor, noise: Tensor) -> Tensor:
        """The clean latent that x and its predicted noise imply."""
        return (x - sqrt(1 - self.alpha) * noise) / sqrt(self.alpha)

    def move(self, x: Tensor, noise: Tensor) -> Tensor:
        """The deterministic step to the next lower time."""
        return sqrt(self.next_alpha) * self.clean(x, noise) + sqrt(1 - self.next_alpha) * noise


def levels(timesteps: Tensor, run: SamplerRun) -> list[Level]:
    """The levels from the last of the ascending `timesteps` down to the second.

    The first time is where the run ends; the model is never asked there.
    """
    assert run.alphas_cumprod is not None, "timestep samplers need alphas_cumprod"
    times = timesteps.to(torch.float32)
    table = run.alphas_cumprod.to(torch.float32)
    alphas = table[timesteps.long()]
    nexts = torch.cat([table[:1], alphas[:-1]])
    spreads = (run.eta * _unit_spread(alphas, nexts)).to(torch.float32)
    return [
        Level(times[i], times[i - 1], alphas[i], nexts[i], spreads[i])
        for i in range(len(times) - 1, 0, -1)
    ]


def _unit_spread(alphas: Tensor, nexts: Tensor) -> Tensor:
    """Song et al. 2020, eq. 16 at eta 1: float64 but for one reciprocal, which is float32."""
    reciprocal = (1 / (1 - alphas)).double()
    nexts = nexts.double()
    return ((1 - nexts) * reciprocal * (1 - alphas.double() / nexts)).sqrt()
