"""Who is let in to the routes, and how often. Source: spec api.md 3.

A1111 asks for credentials on its core routes alone; here every route asks that is not in `OPEN`.
"""

import falcon

from hexfusion.adapters.http.access.accounts import Accounts, Denied
from hexfusion.adapters.http.access.rate_limit import RateLimit, client_of

#: Routes that tell nothing and change nothing: for probes, and for reading the documentation.
OPEN = frozenset({"/internal/ping", "/health/live", "/docs", "/redoc", "/openapi.json"})


class Gate:
    """Middleware. A request that comes through has its user's name in `req.context["user"]`.

    The name is None where nobody is asked for one. A request to a path that no route serves does
    not come here: it is answered 404 to everybody, as by A1111.
    """

    def __init__(self, accounts: Accounts | None = None, rate: RateLimit | None = None) -> None:
        self._accounts = accounts or Accounts()
        self._rate = rate

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Raises `Denied` and `TooManyRequests`.

        Whoever is let in counts by name, wherever from; whoever is not counts by address, so that
        passwords cannot be tried without end.
        """
        if req.uri_template in OPEN:
            return
        denied = None
        try:
            user = req.context["user"] = self._accounts.who(req.auth)
        except Denied as error:
            user, denied = None, error
        if self._rate:
            # A name cannot be taken for an address: it comes with a prefix.
            self._rate.count(f"user {user}" if user else client_of(req.remote_addr))
        if denied:
            raise denied
