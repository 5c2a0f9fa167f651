"""Route that reads the infotext of a picture (png-info). Source: spec api.md 12."""

from collections.abc import Callable
from typing import Annotated

import falcon
import msgspec
from msgspec import Meta

from hexfusion.adapters.http.access.body_memory import counting
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.adapters.http.wire.request_response import for_party, json_body, send_json
from hexfusion.application.describing.picture_info import PictureInfo
from hexfusion.application.pictures.base64_pictures import FetchFor, picture_bytes


class PNGInfoRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to read."""

    image: Annotated[
        str,
        Meta(
            description="PNG, JPEG, WebP, GIF, AVIF, BMP, TIFF, ICO, Netpbm or TGA, in base64, as "
            "a data URI, or its http(s) address."
        ),
    ]


class PngInfo:
    """`POST /sdapi/v1/png-info`"""

    def __init__(self, read: Callable[[bytes], PictureInfo], fetch: FetchFor) -> None:
        self._read = read
        self._fetch = fetch

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        request = wire.as_struct(json_body(req), PNGInfoRequest)
        picture = picture_bytes(request.image, "image", counting(for_party(req, self._fetch), req))
        send_json(resp, self._read(picture))
