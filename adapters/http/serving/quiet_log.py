"""Log lines that an attack cannot multiply: one a minute for each thing that happens."""

import logging
from collections.abc import Callable

_MINUTE = 60.0


class QuietLog:
    """Counts events by their text, and writes each at most once a minute, with its number."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._log = log
        self._clock = clock
        #: By text: when it may be written again, and how often it has happened since it was.
        self._told: dict[str, tuple[float, int]] = {}

    def warning(self, text: str, *values: object) -> None:
        """An event; `text` is a format for `values`. Must be called by one thread only."""
        due, count = self._told.get(text, (0.0, 0))
        now = self._clock()
        if now < due:
            self._told[text] = due, count + 1
            return
        self._told[text] = now + _MINUTE, 0
        since = f" ({count} more since this was last told)" if count else ""
        self._log.warning(text + since, *values)
