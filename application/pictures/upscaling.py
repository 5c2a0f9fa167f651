"""Enlarging pictures: what needs no network, and the loop around what does.

Source: spec images.md 4 (mode 0) and 9.2.
"""

from collections.abc import Callable, Sequence

from PIL import Image

from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance, Upscaler, go_on
from hexfusion.domain.errors import NotFound
from hexfusion.domain.geometry import CELL
from hexfusion.domain.upscalers import PLAIN_UPSCALERS, UpscalerModel, UpscaleSettings

ROUNDS = 3
"""A 4x network reaches 64 times; no one asks for more."""

Enlarge = Callable[[Image.Image, float], Image.Image]
"""One round: (picture, wanted factor) -> a picture enlarged, by whatever factor it does."""

Upscale = Callable[[Image.Image, float], Image.Image]
"""All rounds: (picture, factor) -> the picture that many times as large."""


def _lanczos(image: Image.Image, factor: float) -> Image.Image:
    return _resized(image, factor, Image.Resampling.LANCZOS)


def _nearest(image: Image.Image, factor: float) -> Image.Image:
    return _resized(image, factor, Image.Resampling.NEAREST)


def _unchanged(image: Image.Image, factor: float) -> Image.Image:
    return image


def _resized(image: Image.Image, factor: float, filter: Image.Resampling) -> Image.Image:
    width, height = (max(1, int(side * factor)) for side in image.size)
    return image.resize((width, height), filter)


PLAIN = {"None": _unchanged, "Lanczos": _lanczos, "Nearest": _nearest}
"""What enlarges without weights, by the names of `hexfusion.domain.upscalers.IMAGE_UPSCALERS`."""


class PlainUpscaler:
    """The `Upscaler` port without networks."""

    def list(self, settings: UpscaleSettings) -> Sequence[UpscalerModel]:
        """See `Upscaler.list`."""
        return PLAIN_UPSCALERS

    def check(self, name: str, settings: UpscaleSettings) -> None:
        """See `Upscaler.check`."""
        if name not in PLAIN:
            raise NotFound("upscaler", name)

    def upscale(
        self,
        picture: Image.Image,
        factor: float,
        name: str,
        settings: UpscaleSettings,
        advance: Advance = go_on,
    ) -> Image.Image:
        """See `Upscaler.upscale`."""
        self.check(name, settings)
        return upscale(picture, factor, PLAIN[name])


def upscaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """(width, height), pixels. A1111 makes nothing at all of a side that comes below 8."""
    width, height = (max(CELL, int(side * factor // CELL * CELL)) for side in size)
    return width, height


def upscale(
    image: Image.Image,
    factor: float,
    enlarge: Enlarge,
    stopped: Callable[[], bool] = lambda: False,
) -> Image.Image:
    """`factor` times as large, each side rounded down to a multiple of 8.

    A round that did not reach the target is followed by another, up to three, unless it was
    `stopped`; what then differs is made up for by Lanczos.
    """
    target = upscaled_size(image.size, factor)
    for number in range(ROUNDS):
        reached = image.width >= target[0] and image.height >= target[1]
        if (reached and (number or factor != 1)) or stopped():
            break
        before = image.size
        image = enlarge(image, factor)
        if image.size == before:
            break
    return _fitted(image, target)


def resize(
    image: Image.Image, size: tuple[int, int], upscale: Upscale | None = None
) -> Image.Image:
    """The picture stretched to `size`, pixels; an enlargement begins with `upscale`, if given."""
    factor = max(size[0] / image.width, size[1] / image.height)
    if upscale and factor > 1 and image.mode != "L":
        image = upscale(image, factor)
    return _fitted(image, size)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def upscale_by(
    upscaler: Upscaler, name: str, settings: UpscaleSettings, advance: Advance = go_on
) -> Upscale | None:
    """What `resize` wants to enlarge with that upscaler; None where it names none."""
    if name in ("", "None"):
        return None

    def enlarged(image: Image.Image, factor: float) -> Image.Image:
        return upscaler.upscale(image, factor, name, settings, advance)

    return enlarged


class Stoppable:
    """Listens to what `advance` answers, and remembers that it said to stop."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self.stopped = False

    def __call__(self, done: int, of: int) -> Verdict:
        """See `Advance`."""
        verdict = self._advance(done, of)
        self.stopped = verdict is not Verdict.CONTINUE
        return verdict
