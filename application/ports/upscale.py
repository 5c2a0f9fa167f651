"""The upscaling port: a picture goes in, a larger one comes out."""

from collections.abc import Callable, Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.upscalers import UpscalerModel, UpscaleSettings

Advance = Callable[[int, int], Verdict]
"""Hears that `done` of `of` tiles are done, and answers whether to go on."""


def go_on(done: int, of: int) -> Verdict:
    """For nobody in particular."""
    return Verdict.CONTINUE


class Upscaler(Protocol):
    """Enlarges pictures. Safe to call from many threads at once."""

    def list(self, settings: UpscaleSettings) -> Sequence[UpscalerModel]:
        """What can be used: None, Lanczos, Nearest, then the others by lower-cased name."""
        ...

    def check(self, name: str, settings: UpscaleSettings) -> None:
        """Raises `NotFound` for an unknown name, `ModelUnavailable` for a model whose weights are
        neither here nor at hand."""
        ...

    def upscale(
        self,
        picture: Image,
        factor: float,
        name: str,
        settings: UpscaleSettings,
        advance: Advance = go_on,
    ) -> Image:
        """`factor` times as large, each side rounded down to a multiple of 8, but at least 8.

        None, Lanczos and Nearest keep the mode; networks answer in RGB, and tell `advance` of every
        tile: after SKIP or INTERRUPT the picture comes back enlarged without them (spec images.md
        9.2 and 9.3). Raises as `check` does, `CheckpointError` when a model does not
        load, `NotANumber`, and `InvalidRequest` for a picture too large for a network.
        """
        ...
