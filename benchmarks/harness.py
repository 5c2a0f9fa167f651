"""What the benchmarks share: checkpoints to measure with, a server to talk to, and a report."""

import http.client
import json
import math
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = Path(os.environ.get("HEXFUSION_SHARED", ROOT.parent / "shared")) / "golden"
#: A1111's answers on the checkpoint that ships: they travel with the project.
OWN_RECORDINGS = ROOT / "tests/golden/starter"
#: The checkpoint that was recorded, and the one that ships.
TINY = RECORDINGS / "data/models/Stable-diffusion/tiny.safetensors"
STARTER = ROOT / "adapters/storage/assets/hexfusion-starter.safetensors"
#: Seconds a server may take to answer its first request, and to stop.
START_LIMIT, STOP_LIMIT = 300, 45


def checkpoints() -> list[Path]:
    """Of the two, those at hand."""
    return [path for path in (TINY, STARTER) if path.is_file()]


def data_directory(folder: Path, *sound: Path) -> Path:
    """A new data directory that holds copies of these checkpoints and nothing else."""
    models = folder / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    for path in sound:
        for each in path.parent.glob(f"{path.stem}.*"):  # with its .yaml
            shutil.copyfile(each, models / each.name)
        text_encoder = path.parent / f"{path.stem}-clip"
        if text_encoder.is_dir():  # which the recorded one's .yaml names
            shutil.copytree(text_encoder, models / text_encoder.name)
    return folder


@dataclass(frozen=True)
class Reply:
    """An answer. `seconds` is from the first byte sent to the last one read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> dict:
        """The body's JSON. Raises ValueError where there is none."""
        return json.loads(self.body)


class Client:
    """One connection to a server, kept open. Not for several threads."""

    def __init__(self, port: int, timeout: float = 3600) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send `body` as it is if it is bytes, else as JSON. Raises OSError, HTTPException."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        started = time.perf_counter()
        try:
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        seconds = time.perf_counter() - started
        return Reply(answer.status, dict(answer.getheaders()), content, seconds)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Running:
    """A server under way. `ready` is the seconds from its start to its first answer."""

    port: int
    started: float
    ready: float
    process: subprocess.Popen[bytes]


@contextmanager
def server(data: Path, *flags: str) -> Iterator[Running]:
    """`hexfusion` as a process of its own on a free port, its output in `data`/server.log.

    It runs the package that this process imports.
    """
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "hexfusion.bootstrap",
        "--data-dir",
        str(data),
        "--port",
        str(port),
        *flags,
    ]
    log = data / "server.log"
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(process, port, log)
        yield Running(port, started, time.monotonic() - started, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    client, deadline = Client(port, timeout=10), time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the server ended with status {process.returncode}:\n{log.read_text()}")
        try:
            client.ask("GET", "/internal/ping")
        except OSError:
            time.sleep(0.02)
        else:
            client.close()
            return
    sys.exit(f"the server did not answer within {START_LIMIT} s:\n{log.read_text()}")


def order(**fields: object) -> dict[str, object]:
    """A small request, with these fields in place of its own."""
    small = {"prompt": "a red circle on a blue background", "negative_prompt": "blurry"}
    return {**small, "seed": 1, "width": 64, "height": 64, "steps": 4, **fields}


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "torch": version("torch"),
        "commit": commit(),
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def console() -> Console:
    """Wide enough for the tables where no terminal says how wide it is."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def save(path: Path | None, figures: Mapping[str, object]) -> None:
    """The figures and the machine as JSON, if a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
