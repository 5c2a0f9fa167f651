"""What lies where, and what may not lie anywhere."""

import ast
import os
from collections import Counter

import pytest

from hexfusion.domain.errors import HexfusionError
from tests.architecture.source import (
    ROOMS,
    ROOT,
    calls,
    calls_in,
    imports,
    modules,
    project_files,
    python_files,
    tree,
)

#: shared/design.md, "Rooms": the top level is given by the project's owner.
FOLDERS = {"domain", "application", "adapters", "tests", "benchmarks", "examples", "tools", "docs"}
PAGES = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"}
#: What makes the folders one installed package `hexfusion` (docs/adr/0019).
PACKAGING = {"pyproject.toml", "setup.py", "__init__.py", "py.typed"}
TOP = FOLDERS | PAGES | PACKAGING | {"Makefile", "bootstrap.py"}
#: Third-party notices, which some licences ask for beside our own.
LEGAL = {"NOTICE"}
#: Loading with these runs code from the file.
UNPICKLERS = {
    f"{module}.{name}"
    for module in ("pickle", "_pickle", "dill", "cloudpickle", "marshal", "joblib", "pandas")
    for name in ("load", "loads", "Unpickler", "read_pickle")
} | {"shelve.open", "torch.jit.load", "yaml.load", "yaml.unsafe_load"}


def test_the_top_level_is_as_designed():
    top = {path.parts[0] for path in project_files() if not path.parts[0].startswith(".")}
    assert top - LEGAL == TOP


def test_the_adapters_are_as_designed():
    rooms = {p.parts[1] for p in project_files() if p.parts[0] == "adapters" and len(p.parts) > 2}
    assert rooms == {"http", "gpu", "storage"}


def test_every_folder_of_modules_is_a_package():
    """Without `__init__.py` it is left out of the wheel, and its data files are not found."""
    folders = {path.parent for path in python_files(*ROOMS)}
    assert not [folder for folder in folders if folder / "__init__.py" not in project_files()]


def test_a_file_holds_one_idea():
    lengths = {path: len((ROOT / path).read_bytes().splitlines()) for path in python_files()}
    assert not {path: lines for path, lines in lengths.items() if lines > 500}


def test_a_folder_can_be_read_at_a_glance():
    """About a dozen modules in most, two dozen at most."""
    sizes = Counter(path.parent for path in python_files(*ROOMS) if path.name != "__init__.py")
    assert not {folder: size for folder, size in sizes.items() if size > 24}
    assert sum(size <= 14 for size in sizes.values()) > len(sizes) * 0.8


def test_no_module_is_named_for_having_no_idea():
    vague = {"utils", "util", "helpers", "common", "misc", "shared", "base"}
    assert not [name for name in modules(*ROOMS) if name.rpartition(".")[2] in vague]


def test_tests_are_no_package():
    """A `tests/domain/__init__.py` would hide the real `domain`."""
    assert not [path for path in python_files("tests") if path.name == "__init__.py"]


def test_nothing_is_unpickled():
    assert not [
        f"{path}:{call.lineno}: {name}"
        for path in python_files()
        for name, call in calls(path)
        if unpickles(name, call)
    ]


def unpickles(name: str, call: ast.Call) -> bool:
    """Whether this call may run code that is in a file."""
    settings = {word.arg: word.value for word in call.keywords}
    if name in ("torch.load", "torch.serialization.load"):
        given = settings.get("weights_only")
        return not (isinstance(given, ast.Constant) and given.value is True)
    return name in UNPICKLERS or "allow_pickle" in settings


@pytest.mark.parametrize(
    ("code", "guilty"),
    [
        ("import pickle as p; p.load(f)", True),
        ("from pickle import loads; loads(b)", True),
        ("import torch; torch.load(f)", True),
        ("from torch import load; load(f, weights_only=False)", True),
        ("import torch; torch.load(f, weights_only=True)", False),
        ("import numpy; numpy.load(f, allow_pickle=True)", True),
        ("import json; json.load(f)", False),
    ],
)
def test_unpickling_is_recognised(code, guilty):
    ((name, call),) = calls_in(ast.parse(code))
    assert unpickles(name, call) == guilty


def test_tests_use_fakes_and_no_mocks():
    for path in python_files("tests"):
        imported = dict(imports(tree(path))).values()
        assert not [name for name in imported if "mock" in name.lower().split(".")], path


def errors(root: type[HexfusionError] = HexfusionError) -> list[type[HexfusionError]]:
    """The error types of the domain."""
    for name in modules("domain"):
        __import__(name)
    return [root, *(each for sub in root.__subclasses__() for each in errors(sub))]


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_domain_errors_know_no_http(error):
    """Invariant 7."""
    assert not {"status", "status_code", "http_status", "code", "title"} & set(dir(error))


def test_ci_runs_the_readmes_test_command():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").rstrip().endswith("\nmake test")
    assert "make test" in (ROOT / "README.md").read_text("utf-8")
