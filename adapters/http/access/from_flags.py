"""Creates authentication, rate limit, CORS, TLS and access log from the command-line flags.

An invalid flag raises `FlagError` at start.
"""

import ssl
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from hexfusion.adapters.http.access.access_log import AccessLog
from hexfusion.adapters.http.access.accounts import Accounts, parse_tokens, parse_users
from hexfusion.adapters.http.access.cors import Cors
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.access.hosts import Hosts, parse_hosts
from hexfusion.adapters.http.access.rate_limit import RateLimit, parse_rate
from hexfusion.adapters.http.access.roles import Admins, Route, parse_names
from hexfusion.adapters.http.access.tls import server_context
from hexfusion.domain.flags import FLAGS, FlagError, Flags


@contextmanager
def blaming(dest: str) -> Iterator[None]:
    """Turn OSError and ValueError in the `with` block into a `FlagError` for this flag."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise FlagError(FLAGS[dest].option, str(error)) from error


def accounts(flags: Flags) -> Accounts:
    """The accounts from flags and files. A given flag without any account is an error: it must not
    open the server."""
    users: dict[str, str] = {}
    tokens: list[str] = []
    if "api_auth_file" in flags.given:
        with blaming("api_auth_file"):
            users |= parse_users(Path(flags.text("api_auth_file")).read_text("utf-8"))
    if "api_auth" in flags.given:
        with blaming("api_auth"):
            users |= parse_users(flags.text("api_auth"))
    if "api_token_file" in flags.given:
        with blaming("api_token_file"):
            tokens = parse_tokens(Path(flags.text("api_token_file")).read_text("utf-8"))
    return Accounts(users, tokens)


def gate(flags: Flags, admin_routes: Collection[Route] = (), known: Accounts | None = None) -> Gate:
    """Authentication of `known` accounts (else those of the flags), rate limit and roles as
    middleware; `admin_routes` are administrators'."""
    known = known or accounts(flags)
    return Gate(known, rate_limit(flags), admins(flags, known, admin_routes))


def admins(flags: Flags, accounts: Accounts, routes: Collection[Route]) -> Admins:
    """The administrators of `--api-admin`. A name that is no account is an error: whoever meant
    it would be shut out."""
    if "api_admin" not in flags.given:
        return Admins(None, routes)
    with blaming("api_admin"):
        return Admins(parse_names(flags.text("api_admin"), accounts.names), routes)


def hosts(flags: Flags, known: Accounts) -> Hosts:
    """The host names that are answered to: any, if callers need credentials."""
    allowed: list[str] = []
    if "allowed_hosts" in flags.given:
        with blaming("allowed_hosts"):
            allowed = parse_hosts(flags.text("allowed_hosts"))
    return Hosts(
        allowed,
        names=[flags.text("server_name")] if flags.text("server_name") else [],
        any_name=bool(known),
        proxied=bool(flags.text("trusted_proxy")),
    )


def rate_limit(flags: Flags) -> RateLimit | None:
    """The rate limit of `--api-rate`, None without it."""
    if "api_rate" not in flags.given:
        return None
    with blaming("api_rate"):
        return RateLimit(parse_rate(flags.text("api_rate")), time.monotonic)


def cors(flags: Flags, own: Hosts) -> Cors:
    """The CORS middleware with the allowed origins; `own` are the server's own names."""
    origins = flags.text("cors_allow_origins").split(",")
    with blaming("cors_allow_origins_regex"):
        pattern = flags.text("cors_allow_origins_regex")
        return Cors([origin.strip() for origin in origins if origin.strip()], pattern, own)


def tls(flags: Flags) -> ssl.SSLContext | None:
    """The TLS context, None for plain HTTP; giving only certificate or key is an error.

    A1111 in that case serves plain HTTP.
    """
    certfile, keyfile = flags.text("tls_certfile"), flags.text("tls_keyfile")
    if not (certfile or keyfile):
        return None
    if not (certfile and keyfile):
        raise FlagError("--tls-certfile", "goes with --tls-keyfile: give both or none")
    with blaming("tls_certfile"):
        return server_context(certfile, keyfile)


def access_log(flags: Flags) -> AccessLog | None:
    """The access log on standard output, None without `--api-log`."""
    return AccessLog(write_line) if flags.switch("api_log") else None


def write_line(line: str) -> None:
    """To standard output at once, and as a whole though many threads write."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
