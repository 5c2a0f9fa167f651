"""The refiner: another checkpoint that takes over during a run (spec sampling.md 5.4)."""

from collections.abc import Callable

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.sampling.denoiser import GuidedDenoiser, Prediction
from hexfusion.adapters.gpu.torch_backend.sampling.noise_table import NoiseTable
from hexfusion.domain.plan import RefinerPlan
from hexfusion.domain.sampling.refiner import refiner_is_due, share_of_noise
from hexfusion.domain.sampling.samplers import Sampler

Due = Callable[[int, Tensor], bool]
"""(index of a model call, its noise level) -> whether the refiner makes it."""


def when_due(plan: RefinerPlan, sampler: Sampler, table: NoiseTable, total_calls: int) -> Due:
    """The `Due` function of `plan`, for a run of `total_calls` on the sampler's `table`."""

    def due(call: int, level: Tensor) -> bool:
        if plan.by_sample_steps:
            share = call / total_calls
        elif sampler.space == "timestep":
            share = share_of_noise(int(level))
        else:
            nearest = (table.sigmas - level.cpu()).abs().argmin()
            share = share_of_noise(int(nearest))
        return refiner_is_due(share, plan.switch_at)

    return due


class RefinedDenoiser:
    """Uses the denoiser `first` until the refiner is due, then the refiner's.

    `take_over` is called once, with the number of calls made so far, and returns the refiner's
    denoiser, which continues counting from there.
    """

    def __init__(
        self, first: GuidedDenoiser, due: Due, take_over: Callable[[int], GuidedDenoiser]
    ) -> None:
        self._first = self._current = first
        self._due: Due | None = due
        self._take_over = take_over
        self._calls = 0

    @property
    def latest(self) -> Prediction:
        return self._current.latest

    @property
    def happened(self) -> set[str]:
        """The labels of both (see `GuidedDenoiser`), and "Refiner" once it took over."""
        if self._current is self._first:
            return self._first.happened
        return self._first.happened | self._current.happened | {"Refiner"}

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        if self._due and self._due(self._calls, level):
            self._due, self._current = None, self._take_over(self._calls)
        self._calls += 1
        return self._current(x, level)
