"""Invariant 6: every port has one contract suite, run over the fake and over the real thing.

By name: the port `ImageArchive` has the suite `ImageArchiveContract` in tests/contracts, and test
classes for each adapter derive from it. An adapter module whose name ends in `fake` or `memory` is
a fake.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import dotted, python_files, tree


def ports() -> Iterator[str]:
    """Every protocol in application/ports, of one call or many; a combination has no methods, and
    a `Callable` makes no promises but its types."""
    for path in python_files("application"):
        if path.parts[1] == "ports":
            for node in tree(path).body:
                if (
                    isinstance(node, ast.ClassDef)
                    and "Protocol" in map(dotted, node.bases)
                    and any(isinstance(each, ast.FunctionDef) for each in node.body)
                ):
                    yield node.name


def suites() -> dict[str, Path]:
    """The contract suites."""
    return {
        node.name: path
        for path in python_files("tests")
        if path.parts[1] == "contracts"
        for node in tree(path).body
        if isinstance(node, ast.ClassDef)
    }


def runs(suite: str) -> Iterator[Path]:
    """Test files with a class that derives from the suite."""
    for path in python_files("tests"):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and suite in map(dotted, node.bases):
                yield path


def adapters_in(path: Path) -> set[str]:
    """Adapter modules that a test file imports."""
    nodes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
    return {
        node.module
        for node in nodes
        if node.module and node.module.startswith("hexfusion.adapters.")
    }


def is_fake(module: str) -> bool:
    return module.endswith(("fake", "memory"))


def test_ports_are_found():
    assert {"Inference", "ModelHost", "ModelCatalog", "OptionsStore", "Download"} <= set(ports())


@pytest.mark.parametrize("port", list(ports()))
def test_every_port_has_a_suite_run_over_the_fake_and_the_real_adapter(port):
    suite = f"{port}Contract"
    assert suite in suites(), f"tests/contracts has no {suite}"
    used = set().union(*(adapters_in(path) for path in runs(suite)))
    assert any(map(is_fake, used)), f"{suite} runs over no fake: {used}"
    assert not all(map(is_fake, used)), f"{suite} runs over no real adapter: {used}"


def test_every_suite_belongs_to_a_port():
    named = {name for name in suites() if name.endswith("Contract")}
    assert named == {f"{port}Contract" for port in ports()}
