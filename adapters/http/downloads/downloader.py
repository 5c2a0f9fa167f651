"""Downloads URLs for clients, protected against server-side request forgery (SSRF).

As in OWASP SSRF prevention, case 2: the host name is resolved once, all of its addresses must be
public, and the connection is made to one of these addresses, so that a different second answer of
the name server has no effect. Redirects are checked in the same way. TLS certificates are verified
for the host name. Source: spec api.md 7.1, which requires less.

`http.client` is used since it works on a connected socket; libraries with connection pools resolve
the name again themselves. Proxy settings are ignored.
"""

import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from hexfusion.adapters.http.downloads.public_addresses import Address, is_public, parse_address
from hexfusion.application.ports.download import DownloadFailed, LocalResource, TooManyDownloads

#: host name -> its addresses. Raises `OSError` if there are none.
Resolve = Callable[[str], Sequence[Address]]
#: (address, port, timeout in seconds) -> a connected socket. Raises `OSError`.
Connect = Callable[[Address, int, float], socket.socket]

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 65536
_LONGEST = 8192  # characters of a URL


@dataclass(frozen=True)
class DownloadLimits:
    """Limits of a download: total time including redirects, size, redirects; and of downloads at
    once. Name resolution may exceed the time: it has the system's own timeout."""

    seconds: float = 30.0
    bytes: int = 32 * 2**20
    redirects: int = 3
    at_once: int = 4


def resolve(host: str) -> list[Address]:
    """The addresses of a host name from the system's resolver. Raises `OSError`."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = [parse_address(str(entry[4][0])) for entry in found]
    # Addresses with a zone (link-local) cannot be checked, and are left out.
    return [address for address in dict.fromkeys(addresses) if address]


def connect(address: Address, port: int, seconds: float) -> socket.socket:
    """Open a TCP connection. Raises `OSError`."""
    return socket.create_connection((str(address), port), timeout=seconds)


@dataclass(frozen=True)
class Target:
    """A parsed, unambiguous URL."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_usual_port(self) -> bool:
        return self.port == _PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.is_usual_port else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Parse a URL. Raises `DownloadFailed` unless it is an unambiguous `http` or `https` URL.

    User names, backslashes, white space, and numeric hosts that are no dotted quad are refused:
    programs interpret them differently.
    """
    if len(url) > _LONGEST:
        raise DownloadFailed("too long an address")
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname or ""
        host = name if name.isascii() else name.encode("idna").decode()
    except ValueError as error:  # UnicodeError too
        raise DownloadFailed("no valid address") from error
    host = host.removesuffix(".")
    if parts.scheme not in _PORTS:
        raise DownloadFailed("not http or https")
    if re.search(r"[\x00-\x20\x7f]", url) or "@" in parts.netloc or port == 0:
        raise DownloadFailed("no valid address")
    if not (_is_name(host) or parse_address(host)):
        raise DownloadFailed("no valid address")
    path = quote(parts.path or "/", safe="%/:=~+!$,;'@()*&[]")
    query = quote(parts.query, safe="%/:=~+!$,;'@()*&[]?")
    return Target(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        f"{path}?{query}" if query else path,
    )


def _is_name(host: str) -> bool:
    """Whether it is a host name that no program reads as a number (`0x7f.1` is 127.0.0.1 to
    some)."""
    labels = host.split(".")
    if len(host) > 253 or not all(re.fullmatch(r"[a-z0-9_-]{1,63}", each) for each in labels):
        return False
    return not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1])


class Downloader:
    """The `Download` port. All clients together have at most `limits.at_once` downloads at once."""

    def __init__(
        self,
        *,
        limits: DownloadLimits | None = None,
        resolve: Resolve = resolve,
        connect: Connect = connect,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """`trust` creates the TLS context with trusted certificates; called at the first
        `https`."""
        self._limits = limits or DownloadLimits()
        self._resolve = resolve
        self._connect = connect
        self._trust = trust
        self._free = threading.BoundedSemaphore(self._limits.at_once)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._trust()

    def __call__(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        """See `application.ports.download.Download`."""
        if not self._free.acquire(blocking=False):
            raise TooManyDownloads(retry_after=5)
        try:
            deadline = time.monotonic() + self._limits.seconds
            for _ in range(self._limits.redirects + 1):
                found = self._get(parse_target(url), public_only, user_agent, deadline)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found.location)
        except TimeoutError as error:
            raise DownloadFailed(f"took longer than {self._limits.seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise DownloadFailed(f"its certificate: {error.verify_message}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadFailed("no answer that could be understood") from error
        finally:
            self._free.release()
        raise DownloadFailed("redirected too often")

    def _get(
        self, target: Target, public_only: bool, user_agent: str, deadline: float
    ) -> "bytes | _Redirect":
        addresses = self._addresses(target, public_only)
        with closing(self._reach(addresses, target, deadline)) as reached:
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.sock = _Timed(reached, deadline)
            headers = {
                "Host": target.authority,
                "User-Agent": user_agent or "hexfusion",
                "Accept": "image/*, */*;q=0.5",
                "Accept-Encoding": "identity",  # a body that inflates could not be capped
                "Connection": "close",
            }
            connection.request("GET", target.path, headers=headers)
            return self._read(connection.getresponse())

    def _addresses(self, target: Target, public_only: bool) -> Sequence[Address]:
        """The addresses of the target; with `public_only` all of them must be public."""
        literal = parse_address(target.host)
        if not public_only:
            return [literal] if literal else self._resolve(target.host)
        if not target.is_usual_port:  # as in A1111; prevents port scans
            raise LocalResource
        try:
            addresses = [literal] if literal else self._resolve(target.host)
        except (OSError, UnicodeError):
            addresses = []  # do not reveal whether an internal name exists
        if not addresses or not all(map(is_public, addresses)):
            raise LocalResource
        return addresses

    def _reach(
        self, addresses: Sequence[Address], target: Target, deadline: float
    ) -> socket.socket:
        """A connection to the first address that answers, with TLS for `https`."""
        failure: OSError = OSError("no address")
        for address in addresses[:4]:
            try:
                reached = self._connect(address, target.port, _left(deadline))
            except OSError as error:
                failure = error
                continue
            if target.scheme == "http":
                return reached
            try:
                reached.settimeout(_left(deadline))
                return self._context.wrap_socket(reached, server_hostname=target.host)
            except OSError:
                reached.close()
                raise
        raise failure

    def _read(self, answer: http.client.HTTPResponse) -> "bytes | _Redirect":
        location = answer.getheader("Location")
        if answer.status in _REDIRECTS and location:
            return _Redirect(location)
        if answer.status != 200:
            raise DownloadFailed(f"answered {answer.status}")
        most = self._limits.bytes
        data = bytearray()
        while len(data) + (answer.length or 0) <= most and (piece := answer.read1(_PIECE)):
            data += piece
        if len(data) + (answer.length or 0) > most:
            raise DownloadFailed(f"larger than {most} bytes")
        if answer.length:
            raise DownloadFailed("broke off")
        return bytes(data)


@dataclass(frozen=True)
class _Redirect:
    location: str


class _Timed:
    """A socket for http.client on which all waits together end at the deadline.

    A plain timeout would restart with each byte of a slow server.
    """

    def __init__(self, reached: socket.socket, deadline: float) -> None:
        self._socket = reached
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_left(self._deadline))
        self._socket.sendall(data)

    def makefile(self, mode: str, *rest: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._socket, self._deadline))

    def close(self) -> None:
        """Does nothing: http.client closes the socket before the body is read."""


class _Reading(io.RawIOBase):
    def __init__(self, reached: socket.socket, deadline: float) -> None:
        self._socket = reached
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_left(self._deadline))
        return self._socket.recv_into(buffer)


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises `TimeoutError` if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
