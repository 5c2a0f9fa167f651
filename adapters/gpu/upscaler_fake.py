"""A fake upscaler without torch, for tests and for trying out clients."""

from collections.abc import Sequence

from PIL import Image

from hexfusion.application.pictures.tiles import by_tiles
from hexfusion.application.pictures.upscaling import PlainUpscaler, Stoppable, upscale
from hexfusion.application.ports.upscale import Advance, go_on
from hexfusion.domain.upscalers import UpscalerModel, UpscaleSettings

_SCALE = 4


class FakeUpscaler(PlainUpscaler):
    """None, Lanczos, Nearest, and fake networks `networks`, which repeat every pixel 4 x 4 times.

    It fulfils the port's contract (`tests/contracts/upscaler.py`): tiles, progress, stops.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        models = (UpscalerModel(name=name, path=f"{name}.pth") for name in networks)
        self._networks = {each.name: each for each in models}

    def list(self, settings: UpscaleSettings) -> Sequence[UpscalerModel]:
        """See `Upscaler.list`."""
        by_name = sorted(self._networks.values(), key=lambda each: each.name.lower())
        return (*super().list(settings), *by_name)

    def check(self, name: str, settings: UpscaleSettings) -> None:
        """See `Upscaler.check`."""
        if name not in self._networks:
            super().check(name, settings)

    def upscale(
        self,
        picture: Image.Image,
        factor: float,
        name: str,
        settings: UpscaleSettings,
        advance: Advance = go_on,
    ) -> Image.Image:
        """See `Upscaler.upscale`."""
        if name not in self._networks:
            return super().upscale(picture, factor, name, settings, advance)
        listening = Stoppable(advance)

        def enlarge(image: Image.Image, factor: float) -> Image.Image:
            return by_tiles(image, settings.esrgan, _drawn, listening)

        return upscale(picture.convert("RGB"), factor, enlarge, lambda: listening.stopped)


def _drawn(tile: Image.Image) -> Image.Image:
    size = tile.width * _SCALE, tile.height * _SCALE
    return tile.resize(size, Image.Resampling.NEAREST)
