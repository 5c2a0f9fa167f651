"""The server's log counts what it leaves out, whichever threads write."""

import io
import logging
import re

from hexfusion.adapters.server_log import ServerLog
from tests.concurrency.guarded import Guard, LockContract, Scene


class TestServerLogLocks(LockContract):
    guards = {ServerLog: [Guard("_turn", touched=("_written", "_left_out"))]}

    def play(self, scene: Scene) -> None:
        stream, pending = io.StringIO(), []
        log = scene[ServerLog](
            2, stream, clock=lambda: 1.0, later=lambda seconds, work: pending.append(work)
        )
        record = logging.LogRecord("a", logging.INFO, "", 0, "x", None, None)
        # As `logging` calls it; told of what is left out while others go on writing.
        scene.run(*[lambda: log.handle(record)] * 5, log.settle)
        scene.run(log.settle, log.settle)
        assert len(pending) in (1, 2, 3)
        assert stream.getvalue().count("INFO a: x") == 2
        told = re.findall(r"(\d) more lines", stream.getvalue())
        assert sum(map(int, told)) == 3
