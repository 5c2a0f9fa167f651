"""How many connections the process has file descriptors for."""

import os
from contextlib import suppress

try:
    import resource
except ImportError:  # no POSIX system
    resource = None  # type: ignore[assignment]

#: Descriptors left for everything else: models, pictures, results, downloads.
_RESERVED = 24
#: Descriptors of a connection: its socket, and the file that a long body or reply lies in; with
#: TLS also the two ends of its relay.
_PLAIN, _TLS = 2, 4
#: More than this is not asked for: some libraries go through all descriptors there may be.
_ENOUGH = 8192
#: With fewer nobody is served at all.
_LEAST = 4


def raise_limit() -> None:
    """Let this process have as many descriptors as it may, up to some thousands."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_for(wanted: int, *, tls: bool) -> int:
    """`wanted`, or the number of connections that there are descriptors for, if that is less."""
    if resource is None:
        return wanted
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wanted
    free = limit - _in_use() - _RESERVED
    return min(wanted, max(_LEAST, free // (_TLS if tls else _PLAIN)))


def _in_use() -> int:
    with suppress(OSError):
        return len(os.listdir("/dev/fd"))
    return 16
