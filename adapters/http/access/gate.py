"""Who may come in: host name, credentials, rate limit. Source: spec api.md 3.

A1111 requires credentials on its core routes only; here all routes do, except those in `OPEN`.
"""

from dataclasses import dataclass

import falcon

from hexfusion.adapters.http.access.accounts import Accounts, Denied
from hexfusion.adapters.http.access.hosts import Hosts
from hexfusion.adapters.http.access.rate_limit import RateLimit, TooManyRequests, client_of
from hexfusion.adapters.http.access.roles import Admins

#: Routes without authentication: probes and documentation, which reveal and change nothing.
OPEN = frozenset({"/internal/ping", "/health/live", "/docs", "/redoc", "/openapi.json"})
#: Key in the WSGI environment of the `Admission` of a request that was asked before its body.
ADMISSION = "hexfusion.admission"


@dataclass(frozen=True)
class Admission:
    """Who the caller is, or why the request is refused.

    `user` is None if no credentials are required; `party` is who shares slots and places with
    others: the user, else the address.
    """

    user: str | None
    party: str
    refusal: Denied | TooManyRequests | None = None


class HostCheck:
    """Middleware that refuses requests for hosts that this server is not."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Raises `BadHost` and `UnknownHost`."""
        self._hosts.check(req.env)


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

    def ask(self, req: falcon.Request) -> Admission:
        """Whether the caller may come in. Counts the request: must be called once for each.

        Authenticated requests are counted by user name, all others by address, so that guessing
        passwords is limited too.
        """
        user, refusal = None, None
        try:
            user = self._accounts.who(req.auth)
        except Denied as error:
            refusal = error
        # A name cannot be taken for an address: both come with a prefix.
        party = f"user {user}" if user else f"address {client_of(req.remote_addr)}"
        if self._rate:
            try:
                self._rate.count(party)
            except TooManyRequests as error:
                return Admission(user, party, error)
        return Admission(user, party, refusal)

    def check(self, admission: Admission, template: str, method: str) -> None:
        """Whether this caller may use this route. Raises `Denied`, `TooManyRequests` and
        `AdminsOnly`."""
        if admission.refusal:
            raise admission.refusal
        self._admins.check(admission.user, template, method)

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Raises `Denied`, `TooManyRequests` and `AdminsOnly`."""
        if req.uri_template in OPEN:
            return
        admission = req.env.get(ADMISSION) or self.ask(req)
        req.context["user"], req.context["party"] = admission.user, admission.party
        self.check(admission, req.uri_template or "", req.method)
        req.context["admin"] = self._admins.named(admission.user)
