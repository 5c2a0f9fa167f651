"""The project's own source, as these tests read it."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The packages that ship, and the name they are installed below.
ROOMS, PACKAGE = ("domain", "application", "adapters"), "hexfusion"


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that git tracks or would track, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return tuple(_walk(ROOT))  # unpacked from an archive
    names = listing.decode().split("\0")
    return tuple(sorted({Path(name) for name in names if name and (ROOT / name).is_file()}))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in ("__pycache__", "data", "build"):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path.relative_to(ROOT)


def python_files(*tops: str) -> list[Path]:
    """Python files below these top-level entries, or all of them."""
    files = [path for path in project_files() if path.suffix == ".py"]
    return [path for path in files if not tops or path.parts[0] in tops]


def modules(*tops: str) -> list[str]:
    """The dotted names of the modules below these top-level entries."""
    return [module(path) for path in python_files(*tops)]


def module(path: Path) -> str:
    """The dotted name that a module is installed by."""
    return ".".join((PACKAGE, *path.with_suffix("").parts)).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file, relative to the root."""
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def dotted(node: ast.expr) -> str:
    """`a.b.c` for an expression of that form, else an empty text."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, name) if owner := dotted(value):
            return f"{owner}.{name}"
    return ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the full name of what is called."""
    return calls_in(tree(path))


def calls_in(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a module, with the full name of what is called."""
    names = dict(imports(module))
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            first, _, rest = name.partition(".")
            origin = names.get(first, first)
            yield (f"{origin}.{rest}" if rest else origin), node


def imports(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Local name and full name of everything a module imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                yield local, alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
