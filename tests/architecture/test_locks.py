"""No lock without a test that misses it: every class that makes or takes one is covered.

A test class in tests/concurrency covers a class if it derives from `LockContract` and names it
among its `guards`. That it runs each place where the lock is taken is seen there, since each is
taken away in turn.
"""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import dotted, imports, module, modules, python_files, tree
from tests.concurrency.sites import files, makers, sites

MAKERS = [maker for path in files() for maker in makers(path)]
SITES = [site for path in files() for site in sites(path)]


def covered() -> set[str]:
    """The full names of what the suites' `guards` name."""
    found = set()
    for path in python_files("tests"):
        if path.parts[1] == "concurrency":
            names = dict(imports(tree(path)))
            for suite in tree(path).body:
                if isinstance(suite, ast.ClassDef) and suite.name.startswith("Test"):
                    found |= {names.get(owner, owner) for owner in _guards(suite)}
    return found


def _guards(suite: ast.ClassDef) -> set[str]:
    for node in suite.body:
        if (
            isinstance(node, ast.Assign)
            and [*map(dotted, node.targets)] == ["guards"]
            and isinstance(node.value, ast.Dict)
        ):
            return {dotted(key) for key in node.value.keys if key is not None}
    return set()


def full_name(path: Path, owner: str) -> str:
    return f"{module(path)}.{owner}"


def test_locks_are_found():
    assert {maker.owner for maker in MAKERS} >= {"Job", "JobQueue", "JobBoard", "RateLimit"}
    assert len(SITES) > 50
    assert all(full_name(site.path, "x").rpartition(".")[0] in modules() for site in SITES)


@pytest.mark.parametrize("maker", MAKERS, ids=str)
def test_every_class_that_makes_a_lock_has_a_play(maker):
    owner = full_name(maker.path, maker.owner)
    assert owner in covered(), f"no suite in tests/concurrency guards {owner}, which makes a lock"


@pytest.mark.parametrize("owner", sorted({full_name(each.path, each.owner) for each in SITES}))
def test_whatever_takes_a_lock_has_a_play(owner):
    assert owner in covered(), f"no suite in tests/concurrency guards {owner}, which takes a lock"
