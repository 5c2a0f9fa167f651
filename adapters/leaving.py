"""The end of the process, with or without threads still at work."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

_log = logging.getLogger("hexfusion")


def leave(
    status: int,
    *closing: Callable[[], object],
    exit_now: Callable[[int], object] = os._exit,
) -> int:
    """Call all of `closing`, and return `status`; end the process with it if threads are left.

    Python would wait for such threads without end, or stop them in the middle of a step: inside
    torch that is an abort (status -6). An error in `closing` is logged, and the others are called.
    """
    for close in closing:
        try:
            close()
        except Exception:
            _log.exception("something could not be closed")
    others = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    if not others:
        return status
    _log.info("stopped; threads that were left, at work or idle: %s", ", ".join(sorted(others)))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    logging.shutdown()
    exit_now(status)
    return status
