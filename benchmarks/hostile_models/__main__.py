"""600 hostile model files on a running server, one after the other.

python -m benchmarks.hostile_models [--only PATTERN] [--threads N] [--all] [--json FILE]

Each is put into the data folder; lists and refreshes are asked for, then a request that uses it,
then the plain picture, which must be the same to the byte. Nothing in a file may run, the server
may neither stop, hang nor grow, and each file has to be named: in an error, in a picture's
comments, or in the log with its absence from the list. Exit status 1 otherwise.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rich.markup import escape
from rich.progress import track
from rich.table import Table

from benchmarks import harness
from benchmarks.hostile_models.collection import collection
from benchmarks.hostile_models.trial import Bad, Outcome, Trial, ground_in, over_http

#: Characters of an answer that are shown.
SHOWN = 160


def table_of(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="hostile model files")
    verdicts = ["refused", "told", "skipped", "works"]
    table.add_column("class", no_wrap=True)
    for column in ("files", *verdicts, "bad", "MB at most", "s at most"):
        table.add_column(column, justify="right")
    for attack in [*dict.fromkeys(each.case.attack for each in outcomes), ""]:
        mine = [each for each in outcomes if attack in ("", each.case.attack)]
        counts = Counter(each.verdict for each in mine)
        bad = sum(counts[each] for each in Bad)
        table.add_row(
            attack or "all",
            str(len(mine)),
            *(str(counts[each]) for each in verdicts),
            f"[bold red]{bad}[/]" if bad else "0",
            f"{max(each.grown for each in mine) / 1e6:.0f}",
            f"{max(each.seconds for each in mine):.1f}",
            end_section=attack == "",
        )
    return table


def figures(outcome: Outcome) -> dict[str, object]:
    case = outcome.case
    return {
        "kind": case.kind,
        "attack": case.attack,
        "label": case.label,
        "file": ascii(case.file),
        "verdict": outcome.verdict,
        "status": outcome.status,
        "said": outcome.said[:2000].encode("utf-8", "backslashreplace").decode(),
        "grown": outcome.grown,
        "seconds": outcome.seconds,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="*", help="cases: 'LoRA*'", metavar="PATTERN")
    parser.add_argument("--threads", type=int, help="of torch; default: torch's choice")
    parser.add_argument("--all", action="store_true", help="show every answer")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    cases = [each for each in collection() if fnmatchcase(str(each), arguments.only)]
    flags = ["--threads", str(arguments.threads)] if arguments.threads else []
    console = harness.console()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as scratch:
        data = harness.data_directory(Path(scratch, "data"), harness.STARTER)
        ground = ground_in(Path(scratch))
        with harness.server(data, "--ckpt", str(_starter_in(data)), *flags) as running:
            process = running.process
            server = over_http(running.port, data / "server.log", process.pid)
            trial = Trial(server, data, ground)
            for case in track(cases, console=console, transient=True):
                outcome = trial.run(case)
                outcomes.append(outcome)
                if arguments.all or not outcome.good:
                    said = f"{outcome.verdict}: {case} -> {outcome.status} {outcome.said[:SHOWN]}"
                    console.print(escape(ascii(said)), highlight=False)
                if process.poll() is not None:
                    console.print(f"[bold red]the server ended: {process.returncode}[/]")
                    break
            alive = process.poll() is None
    console.print(table_of(outcomes))
    good = sum(each.good for each in outcomes)
    console.print(f"{good} of {len(cases)} as they should; the server process lives on: {alive}")
    harness.save(arguments.json, {"cases": [figures(each) for each in outcomes]})
    return 0 if good == len(cases) and alive else 1


def _starter_in(data: Path) -> Path:
    return data / "models/Stable-diffusion" / harness.STARTER.name


if __name__ == "__main__":
    sys.exit(main())
