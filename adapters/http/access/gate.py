"""Middleware for authentication and rate limit. Source: spec api.md 3.

A1111 requires credentials on its core routes only; here all routes do, except those in `OPEN`.
"""

import falcon

from hexfusion.adapters.http.access.accounts import Accounts, Denied
from hexfusion.adapters.http.access.rate_limit import RateLimit, client_of
from hexfusion.adapters.http.access.roles import Admins

#: Routes without authentication: probes and documentation, which reveal and change nothing.
OPEN = frozenset({"/internal/ping", "/health/live", "/docs", "/redoc", "/openapi.json"})


class Gate:
    """Middleware that authenticates requests, and tells the routes in `req.context` who calls.

    "user" is the caller's name, None if no credentials are required; "party" who shares slots and
    places with others: the user, else the address; "admin" whether they are an administrator by
    name. Unknown paths are not handled here: they are answered 404 without authentication, as in
    A1111.
    """

    def __init__(
        self,
        accounts: Accounts | None = None,
        rate: RateLimit | None = None,
        admins: Admins | None = None,
    ) -> None:
        self._accounts = accounts or Accounts()
        self._admins = admins or Admins()
        self._rate = rate

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Raises `Denied`, `TooManyRequests` and `AdminsOnly`.

        Authenticated requests are counted by user name, all others by address, so that guessing
        passwords is limited too.
        """
        if req.uri_template in OPEN:
            return
        denied = None
        try:
            user = req.context["user"] = self._accounts.who(req.auth)
        except Denied as error:
            user, denied = None, error
        # A name cannot be taken for an address: both come with a prefix.
        party = f"user {user}" if user else f"address {client_of(req.remote_addr)}"
        req.context["party"] = party
        if self._rate:
            self._rate.count(party)
        if denied:
            raise denied
        req.context["admin"] = self._admins.named(user)
        self._admins.check(user, req.uri_template or "", req.method)
