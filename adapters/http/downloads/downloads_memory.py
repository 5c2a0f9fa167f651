"""In-memory downloads from a dictionary, for tests; the counterpart of `downloader`."""

import ipaddress
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin

from hexfusion.adapters.http.downloads.downloader import DownloadLimits, Target, parse_target
from hexfusion.adapters.http.downloads.public_addresses import Address, is_public, parse_address
from hexfusion.application.ports.download import DownloadFailed, LocalResource, TooManyDownloads


@dataclass(frozen=True)
class MovedPage:
    """A redirect to another URL, or to another path on the same host."""

    location: str


Answer = bytes | MovedPage | Callable[[], bytes]
"""The content of a URL; a function is called for each download, and may block."""


@dataclass
class FakeInternet:
    """Pages and host names.

    `pages` maps host and path ("a.test/x") to answers; all others are answered 404. `names` maps
    host names to IP addresses; `heard` collects the User-Agent of each request, in order.
    """

    pages: Mapping[str, Answer] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)


class MemoryDownload:
    """The `Download` port over a `FakeInternet`, which the caller may change.

    All `limits` apply except that on time.
    """

    def __init__(self, net: FakeInternet, limits: DownloadLimits | None = None) -> None:
        self._net = net
        self._limits = limits or DownloadLimits()
        self._free = threading.BoundedSemaphore(self._limits.at_once)

    def __call__(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        """See `application.ports.download.Download`."""
        if not self._free.acquire(blocking=False):
            raise TooManyDownloads(retry_after=5)
        try:
            for _ in range(self._limits.redirects + 1):
                found = self._ask(parse_target(url), public_only, user_agent)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found.location)
        finally:
            self._free.release()
        raise DownloadFailed("redirected too often")

    def _ask(self, target: Target, public_only: bool, user_agent: str) -> bytes | MovedPage:
        addresses = self._addresses(target.host)
        if public_only and not (
            target.is_usual_port and addresses and all(map(is_public, addresses))
        ):
            raise LocalResource
        if not addresses:
            raise DownloadFailed("no answer that could be understood")
        self._net.heard.append(user_agent or "hexfusion")
        found = self._net.pages.get(target.host + target.path)
        if found is None:
            raise DownloadFailed("answered 404")
        body = found() if callable(found) else found
        if isinstance(body, bytes) and len(body) > self._limits.bytes:
            raise DownloadFailed(f"larger than {self._limits.bytes} bytes")
        return body

    def _addresses(self, host: str) -> Sequence[Address]:
        literal = parse_address(host)
        if literal:
            return [literal]
        return [ipaddress.ip_address(each) for each in self._net.names.get(host, ())]
