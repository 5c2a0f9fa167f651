"""Upscaling of pictures: the methods without a network, and the loop around those with one.

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
"""Most passes through a network; three passes of a 4x network enlarge by 64."""

Enlarge = Callable[[Image.Image, float], Image.Image]
"""One pass: (picture, wanted factor) -> picture, enlarged by the factor of the method."""

Upscale = Callable[[Image.Image, float], Image.Image]
"""All passes: (picture, factor) -> picture, enlarged by `factor`."""


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
"""The methods without a network, by the names of `hexfusion.domain.upscalers.IMAGE_UPSCALERS`."""


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
    """(width, height) in pixels, times `factor` and rounded down to multiples of 8, at least 8.

    A1111 rounds sides below 8 down to 0, and fails.
    """
    width, height = (max(CELL, int(side * factor // CELL * CELL)) for side in size)
    return width, height


def upscale(
    image: Image.Image,
    factor: float,
    enlarge: Enlarge,
    stopped: Callable[[], bool] = lambda: False,
) -> Image.Image:
    """Enlarge by `factor`, each side rounded down to a multiple of 8.

    `enlarge` is repeated until the target size is reached, at most `ROUNDS` times and not once
    `stopped`; the result is then resized to the target size with Lanczos.
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
    """Stretch the picture to `size` in pixels; `upscale`, if given, makes enlargements."""
    factor = max(size[0] / image.width, size[1] / image.height)
    if upscale and factor > 1 and image.mode != "L":
        image = upscale(image, factor)
    return _fitted(image, size)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def upscale_by(
    upscaler: Upscaler, name: str, settings: UpscaleSettings, advance: Advance = go_on
) -> Upscale | None:
    """The `upscale` argument of `resize` for the upscaler `name`; None for "None" and an empty
    name."""
    if name in ("", "None"):
        return None

    def enlarged(image: Image.Image, factor: float) -> Image.Image:
        return upscaler.upscale(image, factor, name, settings, advance)

    return enlarged


class Stoppable:
    """Wraps an `Advance` callback and remembers whether it answered to stop."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self.stopped = False

    def __call__(self, done: int, of: int) -> Verdict:
        """See `Advance`."""
        verdict = self._advance(done, of)
        self.stopped = verdict is not Verdict.CONTINUE
        return verdict
