"""Several requests at once: is each picture what it is alone, and does `/progress` stay quick?

python -m benchmarks.concurrency [--slots N] [--threads N] [--size 256] [--steps 20] [--json FILE]

Exit status 1 if a request fails, a picture differs by a byte, or the 99th percentile of `/progress`
is not below 100 ms.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Client, order

PROMPTS = (
    "a red circle on a blue background",
    "a green star",
    "a yellow house, night",
    "a blue fish and a white heart",
    "a black cat on grass",
    "a purple ring",
    "an orange tree, (snow:1.3)",
    "a pink face BREAK sky",
)
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE")
#: Seconds from one poll to the next, and what the 99th percentile has to stay under.
INTERVAL, LIMIT = 0.05, 0.1
#: What is polled: the report with its preview picture, and without.
POLLED = {
    "with preview": "/sdapi/v1/progress",
    "without preview": "/sdapi/v1/progress?skip_current_image=true",
}


@dataclass(frozen=True)
class Latency:
    """Seconds a route took to answer, and for how many of its answers a job was under way."""

    polled: str
    answers: int
    while_busy: int
    median: float
    p99: float
    worst: float


def orders(count: int, size: int, steps: int) -> list[dict[str, object]]:
    """Requests that differ in prompt, seed and sampler."""
    return [
        order(
            prompt=PROMPTS[number % len(PROMPTS)],
            sampler_name=SAMPLERS[number % len(SAMPLERS)],
            seed=1000 + number,
            width=size,
            height=size,
            steps=steps,
        )
        for number in range(count)
    ]


def ask(port: int, wanted: Mapping[str, object]) -> tuple[list[str], dict[str, Any]]:
    """The pictures as they came, base64 of PNGs, and `info` but for the time of day.

    Raises RuntimeError for another status than 200.
    """
    client = Client(port)
    reply = client.ask("POST", "/sdapi/v1/txt2img", wanted)
    client.close()
    if reply.status != 200:
        raise RuntimeError(f"{reply.status}: {reply.body[:500]!r}")
    info = json.loads(reply.json()["info"])
    # Of no consequence here: when the job started, and a seed that is not used but drawn anyway.
    for name in ("job_timestamp", "subseed", "all_subseeds"):
        del info[name]
    return reply.json()["images"], info


def ask_at_once(
    port: int, wanted: Sequence[Mapping[str, object]]
) -> list[tuple[list[str], dict[str, Any]]]:
    """All of them at the same time, each over a connection of its own."""
    together = threading.Barrier(len(wanted))

    def start(each: Mapping[str, object]) -> tuple[list[str], dict[str, Any]]:
        together.wait(10)
        return ask(port, each)

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(start, wanted))


@contextmanager
def polling(port: int, polled: str, results: list[Latency]) -> Iterator[None]:
    """Poll while the block runs; then `results` has one entry more."""
    stop = threading.Event()
    taken: list[tuple[float, bool]] = []
    thread = threading.Thread(target=poll, args=(port, POLLED[polled], stop, taken))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if not taken:
        raise RuntimeError(f"{POLLED[polled]} was never answered")
    seconds = [each for each, _ in taken]
    results.append(
        Latency(
            polled,
            len(taken),
            sum(busy for _, busy in taken),
            statistics.median(seconds),
            harness.percentile(seconds, 0.99),
            max(seconds),
        )
    )


def poll(port: int, path: str, stop: threading.Event, taken: list[tuple[float, bool]]) -> None:
    """Fill `taken` with (seconds to answer, whether a job was under way).

    A poll that had to wait for a slow one before it counts from when it was due.
    """
    client = Client(port, timeout=60)
    due = time.perf_counter()
    while not stop.is_set():
        if due > time.perf_counter():
            time.sleep(due - time.perf_counter())
            due = time.perf_counter()
        reply = client.ask("GET", path)
        seconds = time.perf_counter() - due
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {reply.body[:500]!r}")
        taken.append((seconds, reply.json()["state"]["job_count"] > 0))
        due += INTERVAL
    client.close()


def latency_table(latencies: Sequence[Latency]) -> Table:
    table = Table(title=f"/progress, polled every {INTERVAL * 1000:.0f} ms meanwhile, ms")
    for column in ("", "answers", "of them busy", "median", "p99", "max"):
        table.add_column(column, justify="left" if not column else "right")
    for each in latencies:
        figures = (each.median, each.p99, each.worst)
        counts = (str(each.answers), str(each.while_busy))
        table.add_row(each.polled, *counts, *(f"{seconds * 1000:.1f}" for seconds in figures))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=8, help="requests at once")
    parser.add_argument("--slots", type=int, default=1, help="of the server: jobs running at once")
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--checkpoint", type=Path, default=harness.STARTER)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    flags = ["--slots", str(arguments.slots)]
    flags += ["--threads", str(arguments.threads)] if arguments.threads else []
    wanted = orders(arguments.count, arguments.size, arguments.steps)
    console, latencies = harness.console(), list[Latency]()
    console.print(harness.machine())
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), arguments.checkpoint)
        with harness.server(data, *flags) as running:
            ask(running.port, order(prompt="warming up"))
            started = time.perf_counter()
            alone = [ask(running.port, each) for each in wanted]
            in_turn = time.perf_counter() - started
            polled_with, polled_without = POLLED
            with (
                polling(running.port, polled_with, latencies),
                polling(running.port, polled_without, latencies),
            ):
                started = time.perf_counter()
                together = ask_at_once(running.port, wanted)
                at_once = time.perf_counter() - started
    equal = [one == other for one, other in zip(alone, together, strict=True)]
    different = len({images[0] for images, _ in alone})
    console.print(
        f"{sum(equal)} of {len(equal)} requests at once ({arguments.size}x{arguments.size}, "
        f"{arguments.steps} steps, {arguments.slots} slots) give byte for byte what they give "
        f"alone; {different} different pictures. One after the other {in_turn:.1f} s, at once "
        f"{at_once:.1f} s."
    )
    console.print(latency_table(latencies))
    figures = {
        "options": {key: str(value) for key, value in vars(arguments).items()},
        "equal": equal,
        "seconds": {"in turn": in_turn, "at once": at_once},
        "latencies": [asdict(each) for each in latencies],
    }
    harness.save(arguments.json, figures)
    quick = all(each.p99 < LIMIT for each in latencies)
    return 0 if all(equal) and different == len(wanted) and quick else 1


if __name__ == "__main__":
    sys.exit(main())
