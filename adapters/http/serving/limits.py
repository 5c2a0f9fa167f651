"""What bounds connections; the flags of the same names tell what each is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionLimits:
    """Numbers of connections, `max_header` in bytes, times in seconds, `least_rate` in bytes/s.

    `keep_alive` is how long a connection may wait for its next request. `linger` and `linger_bytes`
    bound what is read and dropped of a client that is still sending when it has been refused.
    """

    connections: int = 1000
    connections_per_address: int = 128
    max_header: int = 64 * 2**10
    header_timeout: float = 15.0
    body_timeout: float = 300.0
    stall_timeout: float = 30.0
    least_rate: int = 500
    keep_alive: float = 30.0
    linger: float = 10.0
    linger_bytes: int = 256 * 2**20
