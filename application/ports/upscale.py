"""Port: upscaling of pictures."""

from collections.abc import Callable, Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.inference import Verdict
from hexfusion.domain.upscalers import UpscalerModel, UpscaleSettings

Advance = Callable[[int, int], Verdict]
"""`advance(done, of)`: called when `done` of `of` units of work (tiles, faces) are done; answers
whether to continue."""


def go_on(done: int, of: int) -> Verdict:
    """An `Advance` that always continues."""
    return Verdict.CONTINUE


class Upscaler(Protocol):
    """Enlarges pictures. Thread-safe."""

    def list(self, settings: UpscaleSettings) -> Sequence[UpscalerModel]:
        """The available upscalers: None, Lanczos, Nearest, then the others by name, ignoring
        case."""
        ...

    def check(self, name: str, settings: UpscaleSettings) -> None:
        """Raises `NotFound` for an unknown name, `ModelUnavailable` for a known model without
        weights."""
        ...

    def upscale(
        self,
        picture: Image,
        factor: float,
        name: str,
        settings: UpscaleSettings,
        advance: Advance = go_on,
    ) -> Image:
        """Enlarge by `factor`, each side rounded down to a multiple of 8, at least 8.

        None, Lanczos and Nearest keep the picture's mode; networks return RGB and call `advance`
        after each tile: after SKIP or INTERRUPT the picture is enlarged without the network (spec
        images.md 9.2 and 9.3). Raises as `check` does, `CheckpointError` when a model does not
        load, `NotANumber`, and `InvalidRequest` for a picture too large for a network.
        """
        ...
