"""What `hostile_hosts` and `hostile_connections` share: any checkout's server, and raw sockets."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import harness
from benchmarks.harness import Client

#: Runs the server with a fake backend whose steps take as long as the first argument says.
_PROGRAM = """
import sys
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference
made = FakeInference.__init__
made.__defaults__ = (float(sys.argv[1]), *made.__defaults__[1:])
sys.exit(bootstrap.main(sys.argv[2:]))
"""
#: Seconds to wait for an answer.
PATIENCE = 20.0


@dataclass(frozen=True)
class Victim:
    """A server under attack."""

    port: int
    process: psutil.Process
    log: Path

    def memory(self) -> float:
        """MiB."""
        return self.process.memory_info().rss / 2**20

    def parked(self) -> float:
        """MiB in the temporary files that it has open: bodies and replies that wait."""
        total = 0
        folder = Path(f"/proc/{self.process.pid}/fd")
        with suppress(OSError):
            for each in folder.iterdir():
                with suppress(OSError):
                    if "(deleted)" in os.readlink(each):
                        total += each.stat().st_size
        return total / 2**20

    def threads(self) -> int:
        return self.process.num_threads()

    def descriptors(self) -> int:
        return self.process.num_fds()


@contextmanager
def server(
    checkout: Path, flags: Sequence[str] = (), *, descriptors: int | None = None, pause: float = 0.0
) -> Iterator[Victim]:
    """The server of a checkout on the fake backend, as a process of its own.

    With `descriptors`, it has no more than so many file descriptors; `pause` is the seconds that a
    step takes.
    """
    with tempfile.TemporaryDirectory(prefix="hexfusion-victim-") as folder:
        link = Path(folder, "packages")
        link.mkdir()
        (link / "hexfusion").symlink_to(checkout.resolve())
        data = harness.data_directory(Path(folder, "data"), harness.STARTER)
        port, log = harness.free_port(), data / "server.log"
        command = [sys.executable, "-c", _PROGRAM, str(pause), "--backend", "fake"]
        command += ["--data-dir", str(data), "--port", str(port), *flags]
        if descriptors:
            command = ["/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(link)},
            )
        try:
            harness.wait_until_up(process, port, log)
            yield Victim(port, psutil.Process(process.pid), log)
        finally:
            process.kill()
            process.wait()


def connect(port: int, source: str = "127.0.0.1", buffer: int | None = None) -> socket.socket:
    """From another address of this machine, if `source` says so; `buffer` is how many bytes the
    kernel keeps of what is not read."""
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(PATIENCE)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", port))
    return connection


def exchange(port: int, sent: bytes) -> int:
    """The status of the answer to these bytes; 0 where none comes."""
    answer = b""
    with suppress(OSError), connect(port) as connection:
        connection.sendall(sent)
        while b"\r\n" not in answer and (piece := connection.recv(4096)):
            answer += piece
    return status_of(answer)


def status_of(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found[1]) if found else 0


class Honest:
    """A client that does nothing wrong, from an address of its own (127.0.0.1)."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self._port, self._timeout = port, timeout

    def served(self, tries: int = 10) -> tuple[int, float]:
        """How many of so many `/progress` on new connections are answered 200, and the slowest of
        those, seconds. Gives up at the first that is not, which took the whole timeout."""
        answered, slowest = 0, 0.0
        for _ in range(tries):
            client, started = Client(self._port, timeout=self._timeout), time.perf_counter()
            try:
                status = client.ask("GET", "/sdapi/v1/progress").status
            except (OSError, ValueError):
                break
            finally:
                client.close()
            answered += status in (200, 401)
            slowest = max(slowest, time.perf_counter() - started)
        return answered, slowest
