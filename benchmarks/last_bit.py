"""How far one last bit of the network's answers moves a recorded picture.

python -m benchmarks.last_bit [CASE] [--runs N] [--threads N] [--json FILE]

The case is made again, first as it is, then with every number the UNet answers nudged by at most
one last bit (2^-23 of itself, at random). A sampler that steps by the clock comes out within 1/255;
"DPM adaptive", which accepts or rejects a step by how small an error looks, may take another path:
so far, and no further, can two processors or two versions of torch agree.
"""

import argparse
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from falcon.testing import TestClient
from rich.table import Table

from benchmarks import harness
from benchmarks.fidelity import client_of, compare
from benchmarks.recordings import PATH, Recording, read

LAST_BIT = 2.0**-23


@dataclass(frozen=True)
class Run:
    """One making of the picture. Differences are of 255."""

    calls: int
    from_recorded: int
    from_unnudged: int


@contextmanager
def nudged(seed: int | None, count: Callable[[], None]) -> Iterator[None]:
    """While it lasts, UNets answer a last bit beside the truth; with None, the truth."""
    import torch
    from diffusers import UNet2DConditionModel

    true = UNet2DConditionModel.forward
    generator = torch.Generator().manual_seed(seed or 0)

    def forward(self: UNet2DConditionModel, *given: Any, **named: Any) -> Any:
        answer = true(self, *given, **named)
        count()
        if seed is not None:
            sample = answer[0] if isinstance(answer, tuple) else answer.sample
            bits = torch.randint(-1, 2, sample.shape, generator=generator).to(sample.device)
            sample *= 1 + LAST_BIT * bits
        return answer

    UNet2DConditionModel.forward = forward
    try:
        yield
    finally:
        UNet2DConditionModel.forward = true


def runs_of(client: TestClient, case: Recording, nudges: int) -> list[Run]:
    """The case as it is, then `nudges` times beside it."""
    made: list[bytes] = []
    runs = []
    for seed in (None, *range(1, nudges + 1)):
        calls: list[None] = []
        with nudged(seed, lambda calls=calls: calls.append(None)):  # type: ignore[misc]
            answer = client.simulate_post(PATH, json=case.request).json
        made.append(b64decode(answer["images"][0]))
        differences = (compare(made[-1], other)[1] for other in (case.pictures[0], made[0]))
        runs.append(Run(len(calls), *differences))
    return runs


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("case", nargs="?", default="samplers/DPM_adaptive")
    parser.add_argument("--runs", type=int, default=4, help="nudged ones")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    recordings = harness.RECORDINGS
    (case,) = read(recordings / f"{arguments.case}.json", recordings)
    if not isinstance(case, Recording):
        parser.error(f"{case.name} is {case.reason}")
    with tempfile.TemporaryDirectory() as scratch:
        flags = ("--threads", str(arguments.threads))
        runs = runs_of(client_of(recordings / "data", Path(scratch), *flags), case, arguments.runs)
    table = Table("", title=case.name)
    for column in ("network calls", "off the recorded", "off ours"):
        table.add_column(column, justify="right")
    for number, each in enumerate(runs):
        name = f"nudged {number}" if number else "ours"
        off = (f"{each.from_recorded}/255", f"{each.from_unnudged}/255")
        table.add_row(name, str(each.calls), *off)
    harness.console().print(table)
    harness.save(arguments.json, {"case": case.name, "runs": [asdict(each) for each in runs]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
