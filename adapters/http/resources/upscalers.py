"""Routes that list upscalers and face restorers. Source: spec api.md 14.

Only those that can be used are listed, since clients offer them to their users.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.domain.upscalers import LATENT_MODES, UpscalerModel


class UpscalerItem(msgspec.Struct, frozen=True, kw_only=True):
    """An upscaler. Null where it needs no model."""

    name: str
    model_name: str | None
    model_path: str | None
    model_url: Annotated[str | None, Meta(description="Always null.")]
    scale: float | None


class LatentUpscalerModeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A way to enlarge a latent, for hires fix."""

    name: str


class FaceRestorerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A face restorer."""

    name: str
    cmd_dir: Annotated[str | None, Meta(description="Always null.")]


class RealesrganItem(msgspec.Struct, frozen=True, kw_only=True):
    """A Real-ESRGAN model."""

    name: str
    path: Annotated[
        str | None, Meta(description="Its file. A1111 gives the address it would be fetched from.")
    ]
    scale: int | None


class ListUpscalers(Protocol):
    """Lists the available upscalers, and the available published Real-ESRGAN models."""

    def __call__(self) -> Sequence[UpscalerModel]: ...
    def real_esrgan(self) -> Sequence[UpscalerModel]: ...


class Upscalers:
    """`GET /sdapi/v1/upscalers`"""

    def __init__(self, upscalers: ListUpscalers) -> None:
        self._upscalers = upscalers

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                UpscalerItem(
                    name=each.name,
                    model_name=each.model_name,
                    model_path=each.path,
                    model_url=None,
                    scale=each.scale,
                )
                for each in self._upscalers()
            ],
        )


class RealEsrgan:
    """`GET /sdapi/v1/realesrgan-models`"""

    def __init__(self, upscalers: ListUpscalers) -> None:
        self._upscalers = upscalers

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [
                RealesrganItem(name=each.name, path=each.path, scale=int(each.scale or 0))
                for each in self._upscalers.real_esrgan()
            ],
        )


class FaceRestorers:
    """`GET /sdapi/v1/face-restorers`"""

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        self._names = names

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, [FaceRestorerItem(name=name, cmd_dir=None) for name in self._names()])


class LatentUpscaleModes:
    """`GET /sdapi/v1/latent-upscale-modes`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, [LatentUpscalerModeItem(name=name) for name in LATENT_MODES])
