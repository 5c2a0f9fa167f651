"""Port: face restoration."""

from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.faces import FaceRestoration


class FaceRestorer(Protocol):
    """Detects and restores faces in pictures. Thread-safe."""

    def list(self) -> Sequence[str]:
        """The restorers of `hexfusion.domain.faces.FACE_RESTORERS` that can be used now, in that
        order."""
        ...

    def check(self, model: str) -> None:
        """Raises `NotFound` for an unknown restorer, `ModelUnavailable` if files are missing,
        naming them and their folder."""
        ...

    def restore(
        self, picture: Image, how: FaceRestoration, *, seed: int = 0, advance: Advance = go_on
    ) -> Image:
        """The picture, RGB and of the same size, with its faces restored.

        All other pixels are unchanged. `seed` seeds GFPGAN's noise. `advance` is called after each
        face: after SKIP or INTERRUPT the picture is returned with the faces restored so far. Raises
        as `check` does, `CheckpointError` when a network does not load, `NotANumber`.
        """
        ...
