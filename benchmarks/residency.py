"""Requests for different checkpoints in turn: python -m benchmarks.residency [--requests 12]

Clients ask all at once for pictures by two and three checkpoints in turn, of a server that keeps
one, and again of one that keeps all. How often are checkpoints loaded, and how long does it take
until all have their pictures, first come first served and grouped? All ways take turns in one
process, and every picture must be the same in each. docs/adr/0018 has figures.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from benchmarks import harness
from hexfusion.application.studio import Studio
from hexfusion.bootstrap import build
from hexfusion.domain.errors import NotFound
from hexfusion.domain.generation import Txt2Img

_LOADER = "hexfusion.adapters.gpu.torch_backend.residency.residency"


@dataclass(frozen=True)
class Way:
    """How the server is set up. `kept` is `sd_checkpoints_limit`."""

    checkpoints: int
    kept: int
    overtakes: int

    @property
    def name(self) -> str:
        """For people."""
        order = f"grouped, at most {self.overtakes} overtake" if self.overtakes else "as they come"
        return f"{self.checkpoints} checkpoints, {self.kept} kept, {order}"


@dataclass(frozen=True)
class Outcome:
    """What came of it. `longest` is what the client waited that waited longest, in seconds."""

    loads: int
    seconds: float
    longest: float
    pictures: tuple[bytes, ...]


@contextmanager
def loads_counted() -> Iterator[list[str]]:
    """Fills with what the server says when it loads a checkpoint."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg.startswith("read "):
                said.append(record.getMessage())

    logger, listener = logging.getLogger(_LOADER), Listener()
    logger.addHandler(listener)
    before, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
        logger.propagate = True


def linked(folder: Path, checkpoint: Path, count: int) -> Path:
    """A data directory with so many names of this checkpoint's file."""
    models = folder / "models/Stable-diffusion"
    models.mkdir(parents=True)
    for number in range(count):
        link = models / f"model{number}{checkpoint.suffix}"
        try:
            os.link(checkpoint, link)
        except OSError:  # another file system
            link.write_bytes(checkpoint.read_bytes())
    return folder


def known(studio: Studio, id: str) -> bool:
    """Whether a job of that id waits or runs."""
    try:
        studio.progress(id, picture=False)
    except NotFound:
        return False
    return True


def run(data: Path, way: Way, requests: int, steps: int) -> Outcome:
    """All clients come at once, those for the first checkpoint first, then in turn."""
    flags = ["--data-dir", str(data), "--overtakes", str(way.overtakes), "--queue", str(requests)]
    studio = build([*flags, "--threads", "1", "--no-hashing", "--no-download-sd-model"])
    studio.set_options({"sd_checkpoints_limit": way.kept})

    def ask(number: int) -> tuple[bytes, float]:
        request = Txt2Img(
            prompt="a red circle on a blue background",
            seed=number,
            steps=steps,
            width=64,
            height=64,
            force_task_id=str(number),
            override_settings={"sd_model_checkpoint": f"model{number % way.checkpoints}"},
        )
        asked = time.perf_counter()
        made = studio.txt2img(request)
        return made.pictures[0].image.tobytes(), time.perf_counter() - asked

    clients: list[Future[tuple[bytes, float]]] = []
    with loads_counted() as loads, ThreadPoolExecutor(requests) as pool:
        started = time.perf_counter()
        for number in range(requests):
            clients.append(pool.submit(ask, number))
            while not clients[-1].done() and not known(studio, str(number)):
                time.sleep(0.001)  # so that they come in this order
        done = [client.result() for client in clients]
        seconds = time.perf_counter() - started
    studio.unload_checkpoint()
    pictures = tuple(picture for picture, _ in done)
    return Outcome(len(loads), seconds, max(wait for _, wait in done), pictures)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, default=harness.STARTER)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    ways = [
        Way(checkpoints, kept, overtakes)
        for checkpoints in (2, 3)
        for kept, overtakes in ((1, 0), (1, 8), (checkpoints, 0))
    ]
    outcomes: dict[Way, list[Outcome]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        data = linked(Path(folder), arguments.checkpoint, 3)
        run(data, ways[0], 2, 1)  # torch and diffusers are imported
        for _ in range(arguments.times):
            for way in ways:
                outcomes[way].append(run(data, way, arguments.requests, arguments.steps))
    table = Table("way", "loads", "seconds", "of as they come", "longest wait", "pictures")
    figures = {}
    for way in ways:
        best = min(outcomes[way], key=lambda outcome: outcome.seconds)
        plain = outcomes[Way(way.checkpoints, 1, 0)]
        ratio = best.seconds / min(outcome.seconds for outcome in plain)
        same = all(outcome.pictures == plain[0].pictures for outcome in outcomes[way])
        table.add_row(
            way.name,
            "/".join(str(n) for n in sorted({outcome.loads for outcome in outcomes[way]})),
            f"{best.seconds:.1f}",
            f"{ratio:.2f}",
            f"{best.longest:.1f}",
            "the same" if same else "DIFFER",
        )
        figures[way.name] = {
            **asdict(best),
            "pictures": same,
            "ratio": ratio,
            "requests": arguments.requests,
        }
    harness.console().print(table)
    harness.save(arguments.json, {"ways": figures})


if __name__ == "__main__":
    main()
