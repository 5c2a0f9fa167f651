"""Which host names the server answers to, against DNS rebinding. Source: RFC 9110 7.2, 9112 3.2.

A web page can let its own name point to this machine; for the browser the server then is part of
the page's site, and no rule about origins applies. Such a page needs a *name*: what it cannot do is
make the browser send an IP address, or a name that is not its own. See docs/adr/0022.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_DEFAULT_PORTS = {"http": 80, "https": 443}
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)(?:%[0-9A-Za-z._~%-]+)?\](?::([0-9]{0,5}))?")
_PLAIN = re.compile(r"([0-9A-Za-z._-]+)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?")


class BadHost(Exception):
    """The request names no host, or more than one, or what is no host."""


class UnknownHost(Exception):
    """The request is for a host that this server was not told it is."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"this server does not answer to the host name {name!r}: call it by its IP address or"
            " as localhost, or start it with --allowed-hosts naming the host"
        )


@dataclass(frozen=True)
class Authority:
    """A host and its port, as in a `Host` header.

    `name` is in lower case, without a final dot, brackets or zone; `is_address` tells whether it is
    an IP address. `port` is None if none was written.
    """

    name: str
    port: int | None
    is_address: bool

    def port_for(self, scheme: str) -> int | None:
        """The port, None where it is the default of `scheme`."""
        return None if self.port == _DEFAULT_PORTS.get(scheme) else self.port


def parse_authority(text: str) -> Authority:
    """Parse `host[:port]`; an IPv6 address is in brackets. Raises `ValueError`."""
    if match := _BRACKETED.fullmatch(text):
        name = str(ipaddress.IPv6Address(match[1]))
        return Authority(name, _port(match[2]), True)
    match = _PLAIN.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no host name or IP address")
    name = match[1].lower().removesuffix(".")
    try:
        return Authority(str(ipaddress.IPv4Address(name)), _port(match[2]), True)
    except ipaddress.AddressValueError:
        return Authority(_checked(name), _port(match[2]), False)


def parse_hosts(text: str) -> list[str]:
    """Parse `a.example,*.b.example`; `*` alone is any name. Raises `ValueError`."""
    patterns = [each.strip() for each in text.split(",") if each.strip()]
    if not patterns:
        raise ValueError("names no host")
    return [_pattern(each) for each in patterns]


class Hosts:
    """The host names that are answered to. An IP address always is, and so is localhost."""

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        names: Iterable[str] = (),
        any_name: bool = False,
        proxied: bool = False,
    ) -> None:
        """`allowed` are patterns from `parse_hosts`, and `names` further names.

        With `any_name` every name is answered to, as when callers need credentials: a page that
        took a name has none. With `proxied`, `X-Forwarded-Host` is a trusted proxy's, which
        answers for the name.
        """
        patterns = frozenset(allowed)
        self._any_name = any_name or "*" in patterns
        self._patterns = patterns - {"*"}
        self._names = frozenset(each.lower().removesuffix(".") for each in names)
        self._proxied = proxied

    def check(self, environ: Mapping[str, Any]) -> Authority | None:
        """The host that the request of this WSGI environment is for; None if HTTP/1.0 names none.

        Raises `BadHost` and `UnknownHost`.
        """
        text = environ.get("HTTP_HOST")
        if text is None:
            if environ.get("SERVER_PROTOCOL") in ("HTTP/1.0", "HTTP/0.9"):
                return None
            raise BadHost("the request has no Host header")
        try:
            host = parse_authority(text)
        except ValueError as error:
            # Servers join repeated headers by commas.
            many = "," in text
            reason = "more than one Host was sent" if many else f"Host is invalid: {error}"
            raise BadHost(reason) from error
        vouched = self._proxied and "HTTP_X_FORWARDED_HOST" in environ
        if vouched or host.is_address or self._any_name or self._knows(host.name):
            return host
        raise UnknownHost(host.name)

    def is_own(self, origin: str, host: str | None) -> bool:
        """Whether a page of this `Origin` is one of this server's own, such as /docs.

        That is, it came from the host that the request is for (`host`, a `Host` header that passed
        `check`), or from a host of the list of patterns, whose proxy may have changed `Host`.
        """
        scheme, _, rest = origin.lower().partition("://")
        try:
            page = parse_authority(rest)
            called = parse_authority(host or "")
        except ValueError:
            return False
        if (page.name, page.port_for(scheme)) == (called.name, called.port_for(scheme)):
            return True
        return not page.is_address and self._is_listed(page.name)

    def _knows(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return name in self._names or self._is_listed(name)

    def _is_listed(self, name: str) -> bool:
        """Whether a pattern of the list matches: `*.b.example` matches what ends in `.b.example`,
        not `b.example` itself."""
        if name in self._patterns:
            return True
        return any(each[0] == "*" and name.endswith(each[1:]) for each in self._patterns)


def _port(digits: str | None) -> int | None:
    if not digits:  # "host:" is allowed, RFC 3986 3.2.3
        return None
    if int(digits) > 65535:
        raise ValueError(f"{digits} is no port")
    return int(digits)


def _checked(name: str) -> str:
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{name!r} is no host name")
    return name


def _pattern(text: str) -> str:
    """A pattern in lower case, as ASCII (IDNA). Raises `ValueError`."""
    if text == "*":
        return text
    wild, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        host = parse_authority(name.encode("idna").decode("ascii"))
    except ValueError as error:
        raise ValueError(f"{text!r} is no host name") from error
    if host.port is not None or (wild and host.is_address):
        raise ValueError(f"{text!r}: give names without port, as in a.example,*.b.example")
    return wild + host.name
