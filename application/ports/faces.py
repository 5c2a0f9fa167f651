"""The port of face restoration: a picture goes in, and comes out with its faces mended."""

from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image

from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.faces import FaceRestoration


class FaceRestorer(Protocol):
    """Finds faces and draws them anew. Safe to call from many threads at once."""

    def list(self) -> Sequence[str]:
        """Those of `hexfusion.domain.faces.FACE_RESTORERS` that can be used now, in their order."""
        ...

    def check(self, model: str) -> None:
        """Raises `NotFound` for a name that is none of theirs, `ModelUnavailable` naming the files
        that are missing, and where they belong."""
        ...

    def restore(
        self, picture: Image, how: FaceRestoration, *, seed: int = 0, advance: Advance = go_on
    ) -> Image:
        """The picture, RGB and of the same size, with its faces mended; all else stays as it was,
        to the byte. Without a face it all does.

        GFPGAN's noise is drawn from `seed`. `advance` is told of every face: after SKIP or
        INTERRUPT the picture comes back with the faces done so far. Raises as `check` does,
        `CheckpointError` when a network does not load, `NotANumber`.
        """
        ...
