"""How the source is built, in figures, beside other projects.

python -m benchmarks.structure [NAME=FOLDER ...]

Counts modules, their lines, circles of imports, modules in a folder, and how much is said about the
code: docstrings and comments, as shares of all lines that are not blank. Without arguments it
measures this project's product, and those of falcon, import-linter and spandrel that are installed.
`NAME=FOLDER` measures the package NAME whose files are in FOLDER, such as another checkout's.
"""

import argparse
import ast
import importlib.util
import io
import json
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
#: Others to stand beside, by the names they are imported by.
OTHERS = ("falcon", "importlinter", "spandrel", "hexkit")
#: Folders of this project that ship.
PRODUCT = ("domain", "application", "adapters", "bootstrap.py", "__init__.py")


@dataclass(frozen=True)
class Figures:
    """`circular` counts the modules that are in a circle of imports, `circle` those of the largest;
    `crowded` is the folder with the most modules and `crowd` how many it has."""

    name: str
    modules: int
    lines: int
    median: float
    longest: int
    circular: int
    circle: int
    folders: int
    per_folder: float
    crowd: int
    crowded: str
    docstrings: float
    comments: float


def measured(name: str, folder: Path, only: Sequence[str] = ()) -> Figures:
    """The package `name` in `folder`; with `only`, of its top level those."""
    files = [
        path
        for path in sorted(folder.rglob("*.py"))
        if not only or path.relative_to(folder).parts[0] in only
    ]
    sources = {path: path.read_text("utf-8", errors="replace") for path in files}
    lengths = [len(text.splitlines()) for text in sources.values()]
    said = Counter[str]()
    for text in sources.values():
        said += shares(text)
    per_folder = Counter(path.parent for path in files if path.name != "__init__.py")
    crowded, crowd = per_folder.most_common(1)[0]
    circles = [len(each) for each in circles_in(imports_in(name, folder, sources))]
    return Figures(
        name=name,
        modules=len(files),
        lines=sum(lengths),
        median=statistics.median(lengths),
        longest=max(lengths),
        circular=sum(circles),
        circle=max(circles, default=0),
        folders=len(per_folder),
        per_folder=statistics.median(per_folder.values()),
        crowd=crowd,
        crowded=crowded.relative_to(folder).as_posix(),
        docstrings=said["docstring"] / said["all"],
        comments=said["comment"] / said["all"],
    )


def shares(text: str) -> Counter[str]:
    """Lines that are not blank, and of them those of docstrings and those that are all comment.

    A text that stands by itself is a docstring, also behind a module's or a class's variable.
    """
    docstring: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                docstring.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = text.splitlines()
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and lines[token.start[0] - 1].lstrip().startswith("#")
    }
    filled = {number for number, line in enumerate(lines, 1) if line.strip()}
    return Counter(
        {"all": len(filled), "docstring": len(docstring & filled), "comment": len(comments)}
    )


def imports_in(
    name: str, folder: Path, sources: Mapping[Path, str]
) -> Mapping[str, frozenset[str]]:
    """What each module of the package imports of it, whenever: for type checkers alone, too."""
    modules = {dotted(name, folder, path): path for path in sources}
    found: dict[str, frozenset[str]] = {}
    for module, path in modules.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(sources[path])):
            names |= set(imported(node, module, path.name == "__init__.py"))
        known = (each if each in modules else each.rpartition(".")[0] for each in names)
        # A package's own modules may name it, and it them: that is what it is for.
        found[module] = frozenset(
            each
            for each in known
            if each in modules and each != module and not module.startswith(f"{each}.")
        )
    return found


def dotted(name: str, folder: Path, path: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join((name, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imported(node: ast.AST, module: str, package: bool) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module=origin, names=names, level=level):
            above = module.split(".")
            above = above[: len(above) - level + package] if level else []
            base = ".".join((*above, *((origin,) if origin else ())))
            yield base
            yield from (f"{base}.{each.name}" for each in names)


def circles_in(graph: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    """The sets of modules that reach each other (Tarjan 1972), of more than one each."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            found.append(frozenset(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10_000)
    for module in graph:
        if module not in index:
            visit(module)
    return [each for each in found if len(each) > 1]


def installed(name: str) -> Path | None:
    """Where an installed package lies."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("packages", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    figures = [measured("hexfusion", ROOT, PRODUCT)]
    for each in arguments.packages:
        name, _, folder = each.partition("=")
        figures.append(measured(name, Path(folder).resolve()))
    if not arguments.packages:
        there = ((name, installed(name)) for name in OTHERS)
        figures += [measured(name, folder) for name, folder in there if folder]
    console = Console(width=max(Console().width, 140))
    table = Table(
        "package", "modules", "lines", "median", "longest", "in circles", "largest circle"
    )
    for heading in ("folders", "modules a folder", "most in one", "docstrings", "comments"):
        table.add_column(heading)
    for row in figures:
        table.add_row(
            row.name, str(row.modules), str(row.lines), f"{row.median:g}", str(row.longest),
            str(row.circular), str(row.circle), str(row.folders), f"{row.per_folder:g}",
            f"{row.crowd} ({row.crowded})", f"{row.docstrings:.0%}", f"{row.comments:.1%}",
        )  # fmt: skip
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in figures], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
