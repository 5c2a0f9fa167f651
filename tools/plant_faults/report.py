"""Results as a file that a later run goes on with, and as a table to read."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .running import Result


def load(path: Path) -> dict[str, Result]:
    """What an earlier run found out, by fault."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text("utf-8"))
    return {each["id"]: Result(**each) for each in found["results"]}


def save(path: Path, seed: int, results: Sequence[Result]) -> None:
    """The JSON at `path`, and beside it the table in Markdown."""
    content = {"seed": seed, "results": [each.as_dict() for each in results]}
    _write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    _write(path.with_suffix(".md"), table(seed, results))


def table(seed: int, results: Sequence[Result]) -> str:
    """Sums, then a line for each fault, those that were not caught first."""
    counts = Counter(each.outcome for each in results)
    sums = ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())
    lines = [
        f"# Planted faults, seed {seed}",
        "",
        f"{len(results)} planted: {sums}.",
        "",
        "| place | kind | fault | outcome | by | s |",
        "|---|---|---|---|---|---|",
    ]
    for each in sorted(results, key=lambda each: (each.outcome in ("caught", "hung"), each.path)):
        outcome = f"{each.outcome} ({each.left} files left)" if each.left else each.outcome
        if each.outcome in ("caught", "hung", "unclear"):
            outcome = each.outcome
        change = f"{_code(each.before)} -> {_code(each.after)}"
        place = f"{each.path}:{each.line}"
        by = f"`{each.by}`" if each.by else ""
        lines.append(f"| {place} | {each.kind} | {change} | {outcome} | {by} | {each.seconds} |")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """In one line, of a length that fits a table."""
    flat = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return f"`{flat[:60]}...`" if len(flat) > 63 else f"`{flat}`" if flat else "nothing"


def _write(path: Path, text: str) -> None:
    """As a whole or not at all: a run may be stopped at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
