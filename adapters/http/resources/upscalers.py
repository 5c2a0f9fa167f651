"""Ways to enlarge a picture or to mend a face. Source: spec api.md 14.

Only what works here is listed: clients offer their users what these lists hold.
"""

from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from adapters.http.exchange import answer
from domain.upscalers import IMAGE_UPSCALERS, LATENT_MODES

#: A1111 gives those that enlarge to any size, without a model, the scale of a typical model.
_ANY_SIZE = 4.0


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
    path: str | None
    scale: int | None


class Upscalers:
    """`GET /sdapi/v1/upscalers`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(
            resp,
            [
                UpscalerItem(
                    name=name, model_name=None, model_path=None, model_url=None, scale=_ANY_SIZE
                )
                for name in IMAGE_UPSCALERS
            ],
        )


class LatentUpscaleModes:
    """`GET /sdapi/v1/latent-upscale-modes`"""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer(resp, [LatentUpscalerModeItem(name=name) for name in LATENT_MODES])
