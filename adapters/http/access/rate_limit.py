"""Rate limit per client (`--api-rate`); A1111 has none.

A token bucket for each client: all requests of a period may come at once, and are regained evenly
over the period. Source: Turner 1986, "New directions in communications".
"""

import ipaddress
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: Most clients with a bucket. A client whose bucket is dropped starts with a full one.
_REMEMBERED = 10_000


class TooManyRequests(Exception):
    """The client has used up its requests. `retry_after` is in whole seconds, at least 1."""

    def __init__(self, rate: "Rate", retry_after: int) -> None:
        super().__init__(f"too many requests: {rate} are allowed; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Rate:
    """`count` requests in `seconds`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count} in {self.seconds:g} s"


def parse_rate(text: str) -> Rate:
    """Parse a rate such as `60/m` (requests per s, m or h). Raises `ValueError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})/([smh])", text.strip())
    if not match:
        raise ValueError(f"must be a number of requests by s, m or h, as in 60/m, not {text!r}")
    return Rate(int(match[1]), _PERIODS[match[2]])


class RateLimit:
    """Counts requests by client. Thread-safe; its memory is bounded."""

    def __init__(
        self, rate: Rate, clock: Callable[[], float], *, remembered: int = _REMEMBERED
    ) -> None:
        """`clock` returns monotonic seconds; at most `remembered` clients have a bucket."""
        self._rate = rate
        self._clock = clock
        self._remembered = remembered
        self._lock = threading.Lock()
        #: (requests left, time of that) by client; ordered by their last request.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """Count a request of this client. Raises `TooManyRequests` if none is left."""
        now = self._clock()
        speed = self._rate.count / self._rate.seconds
        with self._lock:
            left, then = self._buckets.pop(client, (float(self._rate.count), now))
            left = min(float(self._rate.count), left + (now - then) * speed)
            enough = left >= 1
            self._buckets[client] = (left - 1 if enough else left, now)
            if len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
        if not enough:
            raise TooManyRequests(self._rate, max(1, math.ceil((1 - left) / speed)))


def client_of(address: str) -> str:
    """The client of an address: an IPv4 address, or an IPv6 /64 network (one household)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
