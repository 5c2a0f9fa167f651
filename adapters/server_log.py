"""The server's log: one line an event, whatever strangers put in, and no flood.

A client that is refused a thousand times a second must not fill a disk, nor hide what else
happens: of each part of the server only some lines a second are written, the others are counted.
"""

import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from hexfusion.domain.one_line import one_line

#: Characters of a message, and lines of a traceback, that are written.
_MESSAGE, _TRACEBACK = 4000, 200

Later = Callable[[float, Callable[[], None]], None]
"""(seconds, function): call the function once after that time, in another thread."""


class OneLine(logging.Formatter):
    """`LEVEL part: message` in one line; lines of a traceback follow, indented.

    Only what is indented belongs to the line before; everything that does not print is escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        said = one_line(record.getMessage(), _MESSAGE)
        lines = [f"{record.levelname} {record.name}: {said}"]
        if record.exc_info and record.exc_info[0]:
            raised = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            if len(raised) > _TRACEBACK:
                left_out = len(raised) - _TRACEBACK
                raised = [*raised[: _TRACEBACK // 2], f"... ({left_out} lines more)",
                          *raised[-_TRACEBACK // 2 :]]  # fmt: skip
            lines += [f"    {one_line(line)}" for line in raised]
        return "\n".join(lines)


class ServerLog(logging.StreamHandler[TextIO]):
    """Writes at most `lines` records a second of each logger, then how many it left out.

    `clock` returns seconds; `later` calls a function after a while. Safe to use from many threads.
    """

    def __init__(
        self,
        lines: int,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Later | None = None,
    ) -> None:
        super().__init__(stream)
        self.setFormatter(OneLine())
        self._lines = lines
        self._clock = clock
        self._later = later or _in_a_thread
        self._second = 0
        self._written: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def createLock(self) -> None:
        """Called by `logging` for the lock that it holds while `emit` runs, and `flush` takes.

        It guards the counts, too. A second lock would be taken after it by who writes, and before
        it by `settle`: each would wait for the other, and with them all that log something.
        """
        self._turn = threading.RLock()  # what is written may log something itself
        self.lock = self._turn

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it. Requires the lock, which `handle` takes."""
        if (second := int(self._clock())) != self._second:
            self._tell()
            self._second = second
            self._written.clear()
        self._written[record.name] += 1
        if self._written[record.name] <= self._lines:
            super().emit(record)
            return
        if not self._left_out:
            self._later(1.0, self.settle)
        self._left_out[record.name] += 1

    def settle(self) -> None:
        """Write what was left out so far, though no more records come."""
        with self._turn:
            self._tell()

    def close(self) -> None:
        """Also writes what was left out."""
        self.settle()
        super().close()

    def _tell(self) -> None:
        left_out, self._left_out = self._left_out, Counter()
        for name, count in left_out.items():
            said = f"{count} more lines within a second were left out (--log-lines)"
            record = logging.LogRecord(name, logging.WARNING, __file__, 0, said, None, None)
            super().emit(record)


def _in_a_thread(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
