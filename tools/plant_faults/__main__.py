"""Command line: `python -m tools.plant_faults --seed 7 --count 60 --json runs/faults.json`.

Plants that many faults, which the seed chooses, one at a time in a copy of the tree, and runs the
tests that import what was changed, nearest first, until one fails. Writes after each fault what
came of it: the JSON, and beside it a table in Markdown. The same command again goes on where it
was stopped. `--list` only shows the faults. The exit code is 1 if a fault survived.
"""

import argparse
import sys
from pathlib import Path

from . import report
from .project import Project
from .running import bench


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.plant_faults", description=__doc__.partition("\n\n")[2]
    )
    parser.add_argument("--seed", type=int, default=0, help="which faults are chosen")
    parser.add_argument("--count", type=int, default=20, help="how many")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where results go")
    parser.add_argument("--only", action="append", default=[], metavar="PATH", help="only below")
    parser.add_argument("--kind", action="append", default=[], help="only of this kind")
    parser.add_argument("--list", action="store_true", help="show them, run nothing")
    parser.add_argument("--seconds", type=float, default=120.0, help="for one fault at most")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project")
    parser.add_argument("--pytest", action="append", default=[], metavar="ARG", help="for pytest")
    given = parser.parse_args(arguments)

    project = Project(given.root)
    only = [each.strip("/").removeprefix("./") for each in given.only]
    found = [f for f in project.faults(only) if not given.kind or f.kind in given.kind]
    faults = project.chosen(found, given.seed, given.count)
    if given.list or given.json is None:
        for each in faults:
            change = " -> ".join(" ".join(text.split()) for text in (each.before, each.after))
            print(f"{each.path}:{each.line}: {each.kind}: {change}")
        print(f"{len(faults)} of {len(found)}")
        return 0
    known = report.load(given.json)
    results = [known[each.id] for each in faults if each.id in known]
    left = [each for each in faults if each.id not in known]
    with bench(project, given.seconds, given.pytest) as place:
        for each in left:
            result = place.run(each)
            results.append(result)
            report.save(given.json, given.seed, results)
            said = f"{result.outcome} {result.by}".strip()
            print(f"{each.path}:{each.line}: {each.kind}: {said} ({result.seconds} s)", flush=True)
    report.save(given.json, given.seed, results)
    return int(any(each.outcome == "survived" for each in results))


if __name__ == "__main__":
    sys.exit(main())
