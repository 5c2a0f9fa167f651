"""The server's log counts what it leaves out, whichever threads write."""

import io
import logging

from hexfusion.adapters.server_log import ServerLog
from tests.concurrency.guarded import Guard, LockContract, Scene


class TestServerLogLocks(LockContract):
    guards = {ServerLog: [Guard("_counting", touched=("_written", "_left_out"))]}

    def play(self, scene: Scene) -> None:
        stream, pending = io.StringIO(), []
        log = scene[ServerLog](
            2, stream, clock=lambda: 1.0, later=lambda seconds, work: pending.append(work)
        )
        record = logging.LogRecord("a", logging.INFO, "", 0, "x", None, None)
        scene.run(*[lambda: log.emit(record)] * 5)
        scene.run(log.settle, log.settle)
        assert len(pending) == 1
        assert stream.getvalue().count("INFO a: x") == 2
        assert stream.getvalue().count("3 more lines") == 1
