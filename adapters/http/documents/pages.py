"""Routes for the OpenAPI document and its viewers (Swagger UI, ReDoc), without external links."""

from functools import cache

import falcon

from hexfusion.adapters.http.documents import openapi
from hexfusion.adapters.http.documents.openapi import Maxima as Maxima
from hexfusion.adapters.http.documents.operation import Json
from hexfusion.adapters.http.wire.json_results import to_json

#: The pages' programs are inside them; the browser may fetch nothing but this server's document.
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; font-src data:; "
    "worker-src blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
    "base-uri 'none'; form-action 'none'"
)


class OpenApi:
    """`GET /openapi.json`"""

    def __init__(
        self, version: str, limits: Json | None = None, maxima: Maxima | None = None
    ) -> None:
        """`limits` are told under `info.x-limits`: by flag, its value, unit, and what it bounds.

        `maxima` are told in the schemas of the fields.
        """
        self._version = version
        self._limits = limits or {}
        self._maxima = maxima
        self._written = cache(self._write)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = self._written(req.root_path)
        resp.content_type = falcon.MEDIA_JSON

    def _write(self, prefix: str) -> bytes:
        return to_json(openapi.document(self._version, prefix, self._limits, self._maxima))


class Page:
    """`GET /docs` (Swagger UI) and `GET /redoc` (ReDoc)."""

    def __init__(self, viewer: str) -> None:
        self._viewer = viewer

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = _page(self._viewer)
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", _POLICY)


@cache
def _page(viewer: str) -> bytes:
    from offapi import OpenAPITemplate  # reads 9 MB at import

    page = OpenAPITemplate[viewer].value.format(spec_url="openapi.json")
    # Swagger UI would ask a public validator about documents that are not on localhost.
    return page.replace(
        "dom_id: '#swagger-ui'", "validatorUrl: null, dom_id: '#swagger-ui'"
    ).encode()
