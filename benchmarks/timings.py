"""Where the time goes: seconds of a picture by network, and seconds until a server's first one.

python -m benchmarks.timings [--threads N] [--case 64x4 ...] [--checkpoint FILE ...] [--json FILE]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks import harness
from hexfusion import bootstrap
from hexfusion.application.studio import Studio
from hexfusion.domain.generation import Txt2Img

#: Classes of diffusers and transformers, by what they are to a picture. Of the autoencoder, txt2img
#: runs the decoder alone.
NETWORKS = {"CLIPTextModel": "text encoder", "UNet2DConditionModel": "UNet", "Decoder": "VAE"}


@dataclass(frozen=True)
class Case:
    """A square picture: pixels a side, sampling steps."""

    size: int
    steps: int

    @classmethod
    def read(cls, text: str) -> "Case":
        size, _, steps = text.partition("x")
        return cls(int(size), int(steps))


@dataclass(frozen=True)
class Timing:
    """One picture. Seconds; `overhead` is what no network took."""

    checkpoint: str
    size: int
    steps: int
    wall: float
    networks: Mapping[str, float]
    calls: Mapping[str, int]

    @property
    def overhead(self) -> float:
        return self.wall - sum(self.networks.values())


@dataclass(frozen=True)
class Start:
    """A server's first seconds, all counted from its start."""

    checkpoint: str
    size: int
    steps: int
    ready: float
    first_picture: float
    next_picture: float


@dataclass
class Stopwatch:
    """Adds up the seconds spent in networks, by hooks on their calls."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NETWORKS.values(), 0.0))
    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NETWORKS.values(), 0))

    @contextmanager
    def on(self, networks: Mapping[str, nn.Module]) -> Iterator[None]:
        handles = []
        for name, network in networks.items():
            handles.append(network.register_forward_pre_hook(self._begin(name)))
            handles.append(network.register_forward_hook(self._end(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, name: str) -> Callable[..., None]:
        def begin(*_: object) -> None:
            settle()
            self.seconds[name] -= time.perf_counter()

        return begin

    def _end(self, name: str) -> Callable[..., None]:
        def end(*_: object) -> None:
            settle()
            self.seconds[name] += time.perf_counter()
            self.calls[name] += 1

        return end


def settle() -> None:
    """Wait for what the device has still to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def networks_used_by(work: Callable[[], object]) -> dict[str, nn.Module]:
    """The networks that `work` runs through, found by watching every module's calls."""
    found: dict[str, nn.Module] = {}

    def see(module: nn.Module, _: object) -> None:
        name = NETWORKS.get(type(module).__name__)
        if name:
            found[name] = module

    handle = register_module_forward_pre_hook(see)
    try:
        work()
    finally:
        handle.remove()
    absent = set(NETWORKS.values()) - found.keys()
    if absent:
        raise LookupError(f"never called: {', '.join(sorted(absent))}")
    return found


def time_pictures(
    checkpoint: Path, cases: Sequence[Case], flags: Sequence[str]
) -> Iterator[Timing]:
    """Each case once, in this process, with the model loaded and warm and no text cached."""
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), checkpoint)
        use = bootstrap.build([*flags, "--data-dir", str(data)])
        networks = networks_used_by(lambda: picture(use, Case(64, 1), "warming up"))
        for case in cases:
            watch = Stopwatch()
            with watch.on(networks):
                settle()
                started = time.perf_counter()
                picture(use, case, f"a red circle, {case.size} {case.steps}")
                wall = time.perf_counter() - started
            yield Timing(checkpoint.stem, case.size, case.steps, wall, watch.seconds, watch.calls)


def picture(use: Studio, case: Case, prompt: str) -> None:
    request = Txt2Img(
        prompt=prompt,
        negative_prompt=f"not {prompt}",
        seed=1,
        steps=case.steps,
        width=case.size,
        height=case.size,
    )
    use.txt2img(request)


def time_start(checkpoint: Path, case: Case, flags: Sequence[str]) -> Start:
    """A fresh server, asked for a picture as soon as it answers, and for the same again."""
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), checkpoint)
        with harness.server(data, *flags) as running:
            client = harness.Client(running.port)
            wanted = harness.order(width=case.size, height=case.size, steps=case.steps)
            reply = client.ask("POST", "/sdapi/v1/txt2img", wanted)
            first = time.monotonic() - running.started
            again = client.ask("POST", "/sdapi/v1/txt2img", wanted)
            for each in (reply, again):
                if each.status != 200:
                    sys.exit(f"no picture from {checkpoint}: {each.status} {each.body!r}")
            client.close()
    return Start(checkpoint.stem, case.size, case.steps, running.ready, first, again.seconds)


def pictures_table(timings: Sequence[Timing], title: str) -> Table:
    table = Table(title=title)
    columns = ("checkpoint", "size", "steps", "wall s", *NETWORKS.values(), "overhead", "")
    for column in columns:
        table.add_column(column, justify="left" if column == "checkpoint" else "right")
    for each in timings:
        parts = (f"{each.networks[name]:.3f}" for name in NETWORKS.values())
        share = f"{each.overhead / each.wall:.1%}"
        table.add_row(
            each.checkpoint, f"{each.size}", f"{each.steps}", f"{each.wall:.3f}", *parts,
            f"{each.overhead:.3f}", share,
        )  # fmt: skip
    return table


def starts_table(starts: Sequence[Start]) -> Table:
    table = Table(title="a server's first seconds, from its start")
    for column in ("checkpoint", "picture", "ready s", "first picture s", "the same again takes s"):
        table.add_column(column, justify="left" if column == "checkpoint" else "right")
    for each in starts:
        table.add_row(
            each.checkpoint, f"{each.size}x{each.size}, {each.steps} steps", f"{each.ready:.2f}",
            f"{each.first_picture:.2f}", f"{each.next_picture:.2f}",
        )  # fmt: skip
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--case", type=Case.read, nargs="*", help="PIXELSxSTEPS")
    parser.add_argument("--start", type=Case.read, default=Case(256, 20), help="first picture")
    parser.add_argument("--checkpoint", type=Path, nargs="*", help="default: tiny and the starter")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    cases = arguments.case or [Case(64, 4), Case(512, 20)]
    flags = ["--threads", str(arguments.threads)] if arguments.threads else []
    console, files = harness.console(), arguments.checkpoint or harness.checkpoints()
    console.print(harness.machine())
    # The server first: it must not find the files in this process's company.
    starts = [time_start(file, arguments.start, flags) for file in files]
    console.print(starts_table(starts))
    timings = [timing for file in files for timing in time_pictures(file, cases, flags)]
    threads = f"seconds of a picture, {torch.get_num_threads()} threads"
    console.print(pictures_table(timings, threads))
    figures = {
        "threads": torch.get_num_threads(),
        "pictures": [{**asdict(each), "overhead": each.overhead} for each in timings],
        "starts": [asdict(each) for each in starts],
    }
    harness.save(arguments.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
