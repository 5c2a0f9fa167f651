"""Code asks a family of checkpoints for its facts, and never goes by its name.

The names are in the families' own modules. Everywhere else a comparison with one of them, or with
whatever is called a family, is a fact that the family does not tell.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import dotted, python_files, tree

BACKEND = Path("adapters/gpu/torch_backend")
FAMILIES = BACKEND / "families"
#: What these call a family is one of upscaling networks: a folder of theirs.
OTHERS = BACKEND / "upscale"


def names() -> set[str]:
    """What families are called, by their modules."""
    return {
        word.value.value
        for path in python_files("adapters")
        if path.is_relative_to(FAMILIES)
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "name" and isinstance(word.value, ast.Constant)
    }


def judgements(module: ast.Module, known: set[str]) -> Iterator[tuple[int, str]]:
    """Line and code of everything in a module that goes by a family or by its name."""
    for node in ast.walk(module):
        match node:
            case ast.Compare(left, _, others):
                asked: list[ast.expr] = [left, *others]
            case ast.Match(subject, cases):
                patterns = [each.pattern for each in cases]
                asked = [subject, *(p.value for p in patterns if isinstance(p, ast.MatchValue))]
            case ast.Subscript(_, key):
                asked = [key]
            case ast.Call(ast.Attribute(owner, method), arguments) if hasattr(str, method):
                asked = [owner, *arguments]
            case ast.Call(ast.Attribute(_, "get"), [key, *_]):
                asked = [key]
            case _:
                continue
        if any(_is_family(each, known) for each in asked):
            yield node.lineno if isinstance(node, ast.stmt | ast.expr) else 0, ast.unparse(node)


def _is_family(node: ast.expr, known: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in known
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_is_family(each, known) for each in node.elts)
    return dotted(node).removesuffix(".name").rpartition(".")[2].lstrip("_") == "family"


def test_nobody_goes_by_a_family_s_name():
    known = names()
    assert {"SD1", "SD2 unCLIP-L", "SSD-1B", "SD3"} <= known
    assert not [
        f"{path}:{line}: {code}"
        for path in python_files("domain", "application", "adapters")
        if not path.is_relative_to(FAMILIES) and not path.is_relative_to(OTHERS)
        for line, code in judgements(tree(path), known)
    ]


@pytest.mark.parametrize(
    ("code", "guilty"),
    [
        ('model.family == "SD9"', True),
        ("model.family.name != other", True),
        ('family.startswith(("SD9",))', True),
        ('self._family.name.startswith("S")', True),
        ('name = model.family.name\nname == "SDXL"', True),
        ('name.startswith("SDXL")', True),
        ('name in ("SDXL", "SSD-1B")', True),
        ("family is SDXL", True),
        ("MAPS[model.family.name]", True),
        ('MAPS.get(family, MAPS["x"])', True),
        ('match name:\n    case "SDXL":\n        pass', True),
        ("match model.family:\n    case x:\n        pass", True),
        ("model.family.medvram_sdxl", False),
        ('f"is of the {family.name} family"', False),
        ("home(model.family)", False),
        ('name == "SD9"', False),
    ],
)
def test_a_judgement_is_recognised(code, guilty):
    assert bool([*judgements(ast.parse(code), {"SDXL", "SSD-1B"})]) is guilty
