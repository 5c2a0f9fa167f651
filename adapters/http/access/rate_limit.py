"""How many requests a client may make, `--api-rate`. Ours: A1111 has no such limit.

A token bucket for each client: it may make all its requests at once, and gets them back evenly over
the period. Source: Turner 1986, "New directions in communications".
"""

import ipaddress
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: Clients remembered at once. One that is forgotten starts afresh, as one that paused does.
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
    """`60/m`: a number of requests in a second, minute or hour. Raises `ValueError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})/([smh])", text.strip())
    if not match:
        raise ValueError(f"must be a number of requests by s, m or h, as in 60/m, not {text!r}")
    return Rate(int(match[1]), _PERIODS[match[2]])


class RateLimit:
    """Counts requests by client. Safe to call from many threads; its memory is bounded."""

    def __init__(
        self, rate: Rate, clock: Callable[[], float], *, remembered: int = _REMEMBERED
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._rate = rate
        self._clock = clock
        self._remembered = remembered
        self._lock = threading.Lock()
        #: Requests left, and when that was so; the client that was seen last comes last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: str) -> None:
        """One more request of this client. Raises `TooManyRequests`."""
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
    """What counts as one client: an IPv4 address, or an IPv6 /64, which one household has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
