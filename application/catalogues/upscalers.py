"""Use-case: list the upscalers. Source: spec api.md 14."""

from collections.abc import Sequence

import msgspec

from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.upscalers import REAL_ESRGAN, UpscalerModel, upscale_settings


class ListUpscalers:
    """Lists the upscalers that can be used now. Thread-safe."""

    def __init__(self, upscaler: Upscaler, options: OptionsStore) -> None:
        self._upscaler = upscaler
        self._options = options

    def __call__(self) -> Sequence[UpscalerModel]:
        """The available upscalers that options enable."""
        return self._upscaler.list(upscale_settings(self._options.snapshot()))

    def real_esrgan(self) -> Sequence[UpscalerModel]:
        """The published Real-ESRGAN models that are available, enabled by options or not."""
        settings = upscale_settings(self._options.snapshot())
        names = [model.name for model in REAL_ESRGAN]
        every = msgspec.structs.replace(settings, enabled=tuple(names))
        available = {each.name: each for each in self._upscaler.list(every)}
        return [available[name] for name in names if name in available]
