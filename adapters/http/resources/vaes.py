"""Routes that list VAE files. Source: spec api.md 14 and 15."""

from collections.abc import Callable, Sequence
from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.wire.request_response import send_json
from hexfusion.domain.vaes import VaeFile


class SDVaeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A VAE in a file of its own."""

    model_name: Annotated[str, Meta(description="What option sd_vae takes: the file's name.")]
    filename: str


class Vaes:
    """`GET /sdapi/v1/sd-vae`, and `/sdapi/v1/sd-modules` as Forge has it"""

    def __init__(self, vaes: Callable[[], Sequence[VaeFile]]) -> None:
        self._vaes = vaes

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp,
            [SDVaeItem(model_name=each.name, filename=each.filename) for each in self._vaes()],
        )
