"""Cross-origin resource sharing (CORS): which web pages may call the server.

Source: spec api.md 2, WHATWG Fetch. No other site's page may call unless `--cors-allow-origins` or
`--cors-allow-origins-regex` allows its origin. Applies to browsers only.
"""

import re
from collections.abc import Collection

import falcon

from hexfusion.adapters.http.access.hosts import Hosts

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
#: Seconds for which a browser may cache the reply to a preflight request.
_MAX_AGE = 600


class ForeignPage(Exception):
    """A request from a page of another site that browsers send without a preflight request."""

    def __init__(self) -> None:
        super().__init__("Disallowed CORS origin")


class Cors:
    """Middleware: answers preflight requests, and sets the CORS headers of every reply."""

    def __init__(
        self, origins: Collection[str] = (), pattern: str = "", hosts: Hosts | None = None
    ) -> None:
        """`origins` are those allowed, as browsers send them, `*` for all; `pattern` is a regular
        expression that matches allowed origins. `hosts` tells the server's own pages.

        Raises `ValueError` for an invalid regular expression.
        """
        self._origins = frozenset(origins)
        self._hosts = hosts or Hosts(any_name=True)
        try:
            self._pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Raises `ForeignPage`."""
        origin = req.get_header("Origin")
        if origin is None:
            return
        if req.method == "OPTIONS" and req.get_header("Access-Control-Request-Method"):
            self._answer_preflight(req, resp, origin)
        else:
            self.check(req)

    def check(self, req: falcon.Request) -> None:
        """Refuse what browsers send unasked for a page of another site. Raises `ForeignPage`.

        The request must have passed `Hosts.check`: if it had not, `Host` and `Sec-Fetch-Site` would
        prove nothing, since a page can give its own name to this server.
        """
        origin = req.get_header("Origin")
        if origin is None or not _needs_no_preflight(req):
            return
        same_site = req.get_header("Sec-Fetch-Site") == "same-origin"
        own = same_site or self._hosts.is_own(origin, req.get_header("Host"))
        if not (own or self._allows(origin)):
            raise ForeignPage

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        origin = req.get_header("Origin")
        if origin is None or resp.get_header("Access-Control-Allow-Credentials"):
            return
        resp.set_header("Access-Control-Allow-Credentials", "true")
        if self._allows(origin):
            self._name(resp, origin)

    def _answer_preflight(self, req: falcon.Request, resp: falcon.Response, origin: str) -> None:
        """200 or 400, as in A1111's framework. By the standard, preflights carry no credentials."""
        refused = [] if self._allows(origin) else ["origin"]
        if req.get_header("Access-Control-Request-Method") not in _METHODS:
            refused.append("method")
        resp.status = 400 if refused else 200
        resp.text = f"Disallowed CORS {', '.join(refused)}" if refused else "OK"
        resp.content_type = falcon.MEDIA_TEXT
        resp.set_header("Vary", "Origin")
        resp.set_header("Access-Control-Allow-Methods", ", ".join(_METHODS))
        resp.set_header("Access-Control-Max-Age", str(_MAX_AGE))
        resp.set_header("Access-Control-Allow-Credentials", "true")
        asked = req.get_header("Access-Control-Request-Headers")
        if asked:
            resp.set_header("Access-Control-Allow-Headers", asked)
        if self._allows(origin):
            self._name(resp, origin)
        resp.complete = True

    def _allows(self, origin: str) -> bool:
        if "*" in self._origins or origin in self._origins:
            return True
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None

    def _name(self, resp: falcon.Response, origin: str) -> None:
        """Set Access-Control-Allow-Origin: `*` if all origins are allowed, else the origin.

        A1111 sends the origin in both cases, which lets any page use the browser's cookies.
        """
        if "*" in self._origins:
            resp.set_header("Access-Control-Allow-Origin", "*")
        else:
            resp.set_header("Access-Control-Allow-Origin", origin)
            if resp.get_header("Vary") != "Origin":
                resp.append_header("Vary", "Origin")


def _needs_no_preflight(req: falcon.Request) -> bool:
    """Whether browsers send this request without a preflight: a POST that is not JSON."""
    content_type = (req.content_type or "").partition(";")[0].strip().lower()
    is_json = content_type == "application/json" or content_type.endswith("+json")
    return req.method == "POST" and not is_json
