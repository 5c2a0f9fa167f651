"""Which tests could see a fault in a module: those that import it, nearest first.

Without a record of what each test runs, imports tell: a test file sees the modules that it imports,
those that these import, and so on. One whose path mirrors the module's comes first
(`tests/a/test_b.py` for `a/b.py`), then those whose names share words with the module's or the
fault's kind, then by the number of imports between, then the smaller file.
"""

import ast
import re
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePath

from .project import Project


class Choice:
    """Chooses for one project, whose imports are read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._modules = {
            name: path
            for path in project.files
            if path.suffix == ".py"
            for name in _names(path, project.package)
        }

    def tests(self, module: str, kind: str = "") -> list[str]:
        """The test files that could see a fault of that kind in the module at that path."""
        far = self._distances(Path(module))
        tests = [path for path in self._project.tests() if path in far]

        def key(test: Path) -> tuple[object, ...]:
            size = (self._project.root / test).stat().st_size
            alike = len(_words(test.stem) & (_words(Path(module).stem) | _words(kind)))
            return not mirrors(test, Path(module)), -alike, far[test], size, test.as_posix()

        return [path.as_posix() for path in sorted(tests, key=key)]

    def _distances(self, module: Path) -> dict[Path, int]:
        """How many imports lead to the module from each file."""
        far, waiting = {module: 0}, deque([module])
        while waiting:
            reached = waiting.popleft()
            for path in self._importers.get(reached, ()):
                if path not in far:
                    far[path] = far[reached] + 1
                    waiting.append(path)
        return far

    @cached_property
    def _importers(self) -> dict[Path, set[Path]]:
        importers: dict[Path, set[Path]] = {}
        for path in sorted({*self._modules.values()}):
            for name in self._imports(path):
                found = self._modules.get(name) or self._modules.get(name.rpartition(".")[0])
                if found and found != path:
                    importers.setdefault(found, set()).add(path)
        for test in self._project.tests():  # they see what is prepared for them
            for folder in test.parents:
                if (folder / "conftest.py") in self._project.files:
                    importers.setdefault(folder / "conftest.py", set()).add(test)
        return importers

    def _imports(self, path: Path) -> Iterator[str]:
        """Full names of all that a file imports, wherever in it."""
        try:
            tree = ast.parse((self._project.root / path).read_bytes())
        except SyntaxError:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = node.module or ""
                if node.level:
                    above = path.parts[: len(path.parts) - node.level]
                    package = ".".join(filter(None, (*_below_src(above), package)))
                yield package
                yield from (f"{package}.{alias.name}" for alias in node.names)


def mirrors(test: PurePath, module: PurePath) -> bool:
    """Whether the test's path is the module's, with `test_` before or words behind its name."""
    stem = test.stem.removeprefix("test_").removesuffix("_test")
    named = stem == module.stem or stem.startswith(f"{module.stem}_")
    folders, of = [*test.parts[:-1]], [*module.parts[:-1]]
    common = sum(1 for a, b in zip(reversed(folders), reversed(of), strict=False) if a == b)
    return named and (common > 0 or len(of) <= 1)


def _words(stem: str) -> set[str]:
    """One and many are the same; so a test of locks goes first where one is dropped."""
    return {word.rstrip("s") for word in re.split(r"[_-]", stem.lower())} - {"test", "", "of"}


def _names(path: Path, package: str) -> Iterator[str]:
    """What a module is imported by: from the root, and where that is a package, through it."""
    parts = _below_src(path.with_suffix("").parts)
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    yield name
    if package:
        yield f"{package}.{name}".rstrip(".")


def _below_src(parts: tuple[str, ...]) -> tuple[str, ...]:
    return parts[1:] if parts[:1] == ("src",) else parts
