"""A server with the fake backend that is killed and started again on the same `--job-dir`."""

import http.client
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Client, Reply, free_port

#: Seconds to wait for an answer, and for a server to be up.
PATIENCE = 60.0
#: Seconds that a step of the fake backend takes.
STEP = 0.01
#: The server, with steps that take time.
_PROGRAM = f"""
import functools, sys
from hexfusion.adapters.gpu.fake import FakeInference
made = FakeInference.__init__
def slow(self, seconds_per_step=0.0, *rest, **named):
    made(self, {STEP}, *rest, **named)
FakeInference.__init__ = slow
from hexfusion.bootstrap import main
sys.exit(main(sys.argv[1:]))
"""

#: What asking a server raises that is killed meanwhile.
GONE = (OSError, http.client.HTTPException, ValueError)


class Server:
    """A server of the checkout `checkout`; of no use before `start`."""

    def __init__(self, checkout: Path, data: Path, jobs: Path, *flags: str) -> None:
        self._command = [
            sys.executable, "-c", _PROGRAM, "--backend", "fake", "--data-dir", str(data),
            "--job-dir", str(jobs), "--job-limit", "100000", "--job-retention", "100000",
            "--job-memory", "4096", *flags,
        ]  # fmt: skip
        link = checkout / "build/typing/hexfusion"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to("../..")
        self._environ = {**os.environ, "PYTHONPATH": str(link.parent), "OMP_NUM_THREADS": "1"}
        self._log = data / "server.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True, descriptors: int = 0, prefix: Sequence[str] = ()) -> bool:
        """Start it; whether it came up. `descriptors` is how many it may have, 0 for no limit;
        `prefix` a command that runs it."""
        self.port = free_port()

        def limit() -> None:
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *self._command, "--port", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                preexec_fn=limit,
            )
        return self.up() if wait else True

    def up(self) -> bool:
        """Wait until it answers; False if it ended."""
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if (reply := self.ask("GET", "/internal/ping")) and reply.status == 200:
                return True
            time.sleep(0.01)
        return False

    def ask(
        self, method: str, path: str, body: object = None, *, behind: bool = False
    ) -> Reply | None:
        """The answer, None if there is none. `behind`: the job is left to the server."""
        client = Client(self.port, timeout=PATIENCE)
        try:
            return client.ask(method, path, body, {"Prefer": "respond-async"} if behind else {})
        except GONE:
            return None
        finally:
            client.close()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        return self._log.read_text(errors="replace")
