"""A project's files: what faults are planted in, and what is copied to plant them."""

import random
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from .faults import Fault, faults_in, is_real, kinds

#: Top-level folders that hold no part of the product.
_BESIDE = ("test", "doc", "tool", "bench", "example", "script", "build", ".")


class Project:
    """The tree at `root`. Paths are relative to it.

    `package` is the name that the root itself is imported by, where it is a package (`package_dir
    = {"name": "."}`), else empty.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.files = _files(self.root)
        named = self._named()
        is_package = len(named) == 1 and not (self.root / named[0]).is_dir()
        self.package = named[0] if is_package and Path("__init__.py") in self.files else ""

    def sources(self) -> list[Path]:
        """The modules of the packages that pyproject.toml names for import-linter or setuptools;
        where it names none, those in all folders but those of tests, tools and documents."""
        named = self._named()
        if self.package:  # its folders are those that are packages
            named = [path.parts[0] for path in self.files if path.match("*/__init__.py")]
            named = [each for each in named if Path(each, "__init__.py") in self.files]
        return [
            path
            for path in self.files
            if path.suffix == ".py" and (_inside(path, named) if named else _is_product(path))
        ]

    def tests(self) -> list[Path]:
        """The files that pytest would collect."""
        return [path for path in self.files if _is_test(path)]

    def faults(self, only: Sequence[str] = ()) -> Iterator[Fault]:
        """All that might be planted; below the paths `only`, if there are any."""
        for path in self.sources():
            name = path.as_posix()
            if not only or any(name == each or name.startswith(f"{each}/") for each in only):
                yield from faults_in(name, (self.root / path).read_bytes())

    def chosen(self, faults: Sequence[Fault], seed: int, count: int) -> list[Fault]:
        """So many of them by chance: of every kind about as many, and of no line two."""
        dice = random.Random(seed)
        piles = [pile for _, pile in kinds(faults)]
        for pile in piles:
            dice.shuffle(pile)
        dice.shuffle(piles)
        taken: list[Fault] = []
        lines: set[tuple[str, int]] = set()
        while len(taken) < count and any(piles):
            for pile in piles:
                while pile and len(taken) < count:
                    fault = pile.pop()
                    source = (self.root / fault.path).read_bytes()
                    if (fault.path, fault.line) not in lines and is_real(fault, source):
                        lines.add((fault.path, fault.line))
                        taken.append(fault)
                        break
        return taken

    def _named(self) -> list[str]:
        try:
            text = (self.root / "pyproject.toml").read_text("utf-8")
        except FileNotFoundError:
            return []
        tool = tomllib.loads(text).get("tool", {})
        linted = tool.get("importlinter", {})
        found = linted.get("root_packages") or [linted.get("root_package")]
        if not any(found):
            packages = tool.get("setuptools", {}).get("packages", {})
            found = (
                packages.get("find", {}).get("include", []) if isinstance(packages, dict) else []
            )
        return [each.rstrip("*.").partition(".")[0] for each in found if each]


def _files(root: Path) -> list[Path]:
    """What git tracks or would track; in a tree without git all that is not hidden."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
        names = {Path(name) for name in listed.decode().split("\0") if name}
    except (OSError, subprocess.CalledProcessError):
        names = {path.relative_to(root) for path in root.rglob("*")}
        names = {path for path in names if not any(part[0] in "._" for part in path.parts[:-1])}
    return sorted(path for path in names if (root / path).is_file())


def _inside(path: Path, packages: Sequence[str]) -> bool:
    parts = path.parts[1:] if path.parts[0] == "src" else path.parts
    return len(parts) > 1 and parts[0] in packages


def _is_product(path: Path) -> bool:
    return len(path.parts) > 1 and not path.parts[0].lower().startswith(_BESIDE)


def _is_test(path: Path) -> bool:
    name = path.name
    return path.suffix == ".py" and (name.startswith("test_") or name.endswith("_test.py"))
