"""The small faults that a file could have: what is changed, and what is left alone.

A fault is a change of the text between two places of the syntax tree, so the rest of the file
stays as it is. Left alone is what cannot be wrong, or is nobody's promise: docstrings, annotations,
types, log and error messages, `__repr__`, assertions, imports.
"""

import ast
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LOCKS = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore")
_LOGS = ("log", "logger", "logging", "warnings")
_TYPING = ("cast", "TypeVar", "NewType", "ParamSpec")
_COMPARED = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"), ast.Is: ("is", "is not"),
}  # fmt: skip
_OTHER = {"any": "all", "all": "any", "min": "max", "max": "min"}


@dataclass(frozen=True)
class Fault:
    """`before` at `line` (from 1) and `column` (from 0, in bytes) of the file becomes `after`.

    `path` is relative to the project's root, with slashes; `start` and `end` are bytes of the file.
    """

    path: str
    line: int
    column: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    @property
    def id(self) -> str:
        """The same for the same fault while the file has not changed before it."""
        text = f"{self.path}:{self.line}:{self.column}:{self.kind}:{self.before}:{self.after}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def planted(self, source: bytes) -> bytes:
        """The file with the fault."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def faults_in(path: str, source: bytes) -> list[Fault]:
    """All that might be planted in this file, in the order of its lines; see `is_real`."""
    tree = ast.parse(source)
    finder = _Finder(path, source, tree)
    finder.visit(tree)
    found = dict.fromkeys(finder.found)
    return sorted(found, key=lambda each: (each.start, each.end, each.kind, each.after))


def is_real(fault: Fault, source: bytes) -> bool:
    """Whether Python can read the file with it, and reads something else."""
    try:
        return ast.dump(ast.parse(fault.planted(source))) != ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return False


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes, tree: ast.Module) -> None:
        self.found: list[Fault] = []
        self._path = path
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._locks = _lock_names(tree)
        self._functions = 0

    # What is left alone

    def visit_Import(self, node: ast.AST) -> None:
        """And others that are never wrong in an interesting way."""

    visit_ImportFrom = visit_Global = visit_Nonlocal = visit_Assert = visit_JoinedStr = visit_Import

    def visit_Raise(self, node: ast.Raise) -> None:
        """Its text is for people; that it is raised is tested by the condition before it."""

    def visit_arg(self, node: ast.arg) -> None:
        """An annotation."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        # `Pair = tuple[int, int]`, `Key = int | str` and `__all__` at the top are types and names.
        top = not self._functions and isinstance(node.value, ast.Subscript | ast.BinOp)
        names = [each.id for each in node.targets if isinstance(each, ast.Name)]
        if not (top and _capital(names)) and "__all__" not in names:
            self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._body(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name == "__repr__":
            return
        self._functions += 1
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self._body(node.body)
        self._functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def _body(self, body: list[ast.stmt]) -> None:
        for each in body:
            if not _is_text(each):
                self.visit(each)

    # What is changed

    def visit_If(self, node: ast.If) -> None:
        if _last(node.test) == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in itertools.pairwise(node.values):
            self._between("and-or", left, right, word, other)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
            if type(op) in _COMPARED:
                self._between("compare", left, right, *_COMPARED[type(op)])
            elif isinstance(op, ast.NotIn | ast.IsNot):
                word = "not in" if isinstance(op, ast.NotIn) else "is not"
                self._between("drop-not", left, right, word, word.replace("not", "").strip())
        for operand in operands:
            self._key(operand)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace("drop-not", node, self._text(node.operand))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Add | ast.Sub):
            signs = ("+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            self._between("plus-minus", node.left, node.right, *signs)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) is int:
            for step in (1, -1):
                self._replace("constant", node, str(node.value + step))

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            if key is not None:
                self._key(key)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._key(node.slice)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        for place, item in enumerate(node.items):
            if _last(item.context_expr) not in self._locks or item.optional_vars is not None:
                continue
            end = self._end(item.context_expr)
            if len(node.items) == 1:
                self._add("drop-lock", self._start(node), end, "if True")
            elif place:
                self._add("drop-lock", self._end(node.items[place - 1].context_expr), end, "")
            else:
                after = self._start(node.items[1].context_expr)
                self._add("drop-lock", self._start(item.context_expr), after, "")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and not _is_log(call):
            self._replace("drop-call", node, "pass")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not _is_none(node.value):
            self._replace("return-none", node, "return None")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_log(node) or _last(node.func) in _TYPING:
            return
        if isinstance(node.func, ast.Name) and node.func.id in _OTHER:
            self._replace("other-function", node.func, _OTHER[node.func.id])
        plain = [each for each in node.args if not isinstance(each, ast.Starred)]
        if len(plain) == len(node.args):
            for first, second in itertools.pairwise(plain):
                between = self._slice(self._end(first), self._start(second))
                after = self._text(second) + between + self._text(first)
                start, end = self._start(first), self._end(second)
                self._add("swap-arguments", start, end, after)
        for each in node.args[:1]:
            self._key(each)
        self.generic_visit(node)

    def visit_List(self, node: ast.List | ast.Tuple | ast.Set) -> None:
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and len(node.elts) > 2:
            for first, second in itertools.pairwise(node.elts):
                self._add("drop-element", self._start(first), self._start(second), "")
        self.generic_visit(node)

    visit_Tuple = visit_Set = visit_List

    def _negate(self, test: ast.expr) -> None:
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            self._replace("negate", test, f"not ({self._text(test)})")

    def _key(self, node: ast.expr) -> None:
        """A text by which something is found."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            self._replace("key", node, repr(node.value + "_"))

    def _between(self, kind: str, left: ast.expr, right: ast.expr, word: str, other: str) -> None:
        """An operator between two operands, of which brackets are no part."""
        start, end = self._end(left), self._start(right)
        pattern = r"\s+".join(map(re.escape, word.split()))
        if word[0].isalpha():
            pattern = rf"\b{pattern}\b"
        if found := re.search(pattern, self._slice(start, end)):
            begin = start + len(self._slice(start, end)[: found.start()].encode())
            self._add(kind, begin, begin + len(found[0].encode()), other)

    def _replace(self, kind: str, node: ast.AST, after: str) -> None:
        self._add(kind, self._start(node), self._end(node), after)

    def _add(self, kind: str, start: int, end: int, after: str) -> None:
        before = self._slice(start, end)
        line = self._source.count(b"\n", 0, start) + 1
        column = start - self._lines[line - 1]
        self.found.append(Fault(self._path, line, column, kind, before, after, start, end))

    def _start(self, node: ast.AST) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.AST) -> int:
        return self._lines[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.AST) -> str:
        return self._slice(self._start(node), self._end(node))

    def _slice(self, start: int, end: int) -> str:
        return self._source[start:end].decode()


def _lock_names(tree: ast.Module) -> set[str]:
    """What is made by a lock's constructor, or annotated as one, by its last name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=value)
            ) if value is not None:
                calls = (each for each in ast.walk(value) if isinstance(each, ast.Call))
                if any(_last(each.func) in _LOCKS for each in calls):
                    found.add(_last(target))
            case ast.arg(arg=name, annotation=annotation) if annotation is not None:
                if any(lock in ast.unparse(annotation) for lock in _LOCKS):
                    found |= {name, f"_{name}"}
    return found | {"lock"}


def _capital(names: list[str]) -> bool:
    return bool(names) and all(each.lstrip("_")[:1].isupper() for each in names)


def _last(node: ast.expr) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_log(call: ast.Call) -> bool:
    owner: ast.expr = call.func
    while isinstance(owner, ast.Attribute):
        owner = owner.value
        if _last(owner).lstrip("_") in _LOGS:
            return True
    return False


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def kinds(faults: Sequence[Fault]) -> Iterator[tuple[str, list[Fault]]]:
    """The faults by kind, in the order of the kinds' names."""
    found: dict[str, list[Fault]] = {}
    for each in faults:
        found.setdefault(each.kind, []).append(each)
    yield from sorted(found.items())
