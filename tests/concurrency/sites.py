"""Where the project makes locks and takes them, found in its syntax trees.

A lock is what `threading.Lock()`, `RLock()` or `Condition()` makes, or an argument annotated so.
Its name is the last one: `self._saved.lock` is `lock`. A module takes a lock where a `with`
statement names one, or where `acquire` is called on it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOMS, dotted, imports, python_files, tree

_KINDS = frozenset(f"threading.{kind}" for kind in ("Lock", "RLock", "Condition"))


@dataclass(frozen=True)
class Site:
    """One place where a lock is taken. `owner` is the top-level class or function around it."""

    path: Path
    owner: str
    line: int
    lock: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.owner}: with {self.lock}"


@dataclass(frozen=True)
class Maker:
    """A class whose `__init__` makes a lock."""

    path: Path
    owner: str
    lock: str

    def __str__(self) -> str:
        return f"{self.path} {self.owner}.{self.lock}"


def files() -> list[Path]:
    """The modules that are looked at."""
    return python_files(*ROOMS)


def makers(path: Path) -> Iterator[Maker]:
    """The classes in a file that make locks when they are made."""
    names = dict(imports(tree(path)))
    for owner in tree(path).body:
        if isinstance(owner, ast.ClassDef):
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    for target, value in _assigned(method):
                        if any(_makes_lock(node, names) for node in ast.walk(value)):
                            yield Maker(path, owner.name, _last(target))


def sites(path: Path) -> Iterator[Site]:
    """The places in a file where locks are taken."""
    locks = _lock_names(path)
    for owner in tree(path).body:
        if isinstance(owner, ast.ClassDef | ast.FunctionDef):
            for node in ast.walk(owner):
                for lock in taken_by(node):
                    if _last(lock) in locks:
                        yield Site(path, owner.name, node.lineno, _last(lock))


def taken_by(node: ast.AST) -> list[ast.expr]:
    """The expressions that a node takes, if they are locks: a `with` or a call of `acquire`."""
    match node:
        case ast.With(items=items):
            return [item.context_expr for item in items if dotted(item.context_expr)]
        case ast.Call(func=ast.Attribute(value=value, attr="acquire")) if dotted(value):
            return [value]
    return []


def _lock_names(path: Path) -> set[str]:
    names = dict(imports(tree(path)))
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.arg) and node.annotation and _is_lock(node.annotation, names):
            found |= {node.arg, f"_{node.arg}"}
        for target, value in _assigned(node):
            if any(_makes_lock(each, names) for each in ast.walk(value)):
                found.add(_last(target))
    return found


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets and values of the assignments directly or deeply in it."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assign):
            yield from ((target, each.value) for target in each.targets)
        elif isinstance(each, ast.AnnAssign) and each.value:
            yield each.target, each.value


def _makes_lock(node: ast.AST, names: dict[str, str]) -> bool:
    return isinstance(node, ast.Call) and _full(node.func, names) in _KINDS


def _is_lock(annotation: ast.expr, names: dict[str, str]) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    return any(_full(node, names) in _KINDS for node in ast.walk(annotation))


def _full(node: ast.AST, names: dict[str, str]) -> str:
    name = dotted(node) if isinstance(node, ast.expr) else ""
    first, _, rest = name.partition(".")
    origin = names.get(first, first)
    return f"{origin}.{rest}" if rest else origin


def _last(node: ast.expr) -> str:
    return dotted(node).rpartition(".")[2]


class Without(ast.NodeTransformer):
    """Takes the lock away at one line: the block stays, and `acquire` always succeeds."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._let_go: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for each in ast.walk(node):
            if isinstance(each, ast.Call) and self._is_it(each):
                self._let_go |= {dotted(each.func.value)}
        self.generic_visit(node)
        self._let_go.clear()
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        if not self._is_it(node):
            return node
        node.items = [i for i in node.items if _last(i.context_expr) != self._site.lock]
        return node if node.items else ast.If(ast.Constant(True), node.body, [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self._is_it(node):
            return ast.Constant(True)
        match node.func:
            case ast.Attribute(value, "release") if dotted(value) in self._let_go:
                return ast.Constant(None)
        return node

    def _is_it(self, node: ast.With | ast.Call) -> bool:
        return node.lineno == self._site.line and any(
            _last(lock) == self._site.lock for lock in taken_by(node)
        )
