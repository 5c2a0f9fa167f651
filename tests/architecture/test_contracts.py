"""Invariants 1 to 3: who may import whom. The contracts themselves are in pyproject.toml."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOMS, ROOT, module, project_files

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LINTER = CONFIG["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in LINTER["contracts"]}
#: What a copy of the package needs beside its folders.
ROOT_FILES = ("pyproject.toml", "__init__.py", "bootstrap.py")
TORCH, TORCH_NAME = "adapters/gpu/torch_backend", "hexfusion.adapters.gpu.torch_backend"
#: Forbidden imports, one or more for each contract: module, what it imports, and what the
#: contract's name says.
BREACHES = (
    ("domain/errors.py", "PIL.Image", "domain imports"),
    ("domain/seeds.py", "time", "domain imports"),
    ("application/jobs/queue.py", "hexfusion.adapters.storage", "application imports"),
    ("adapters/http/app.py", "hexfusion.adapters.gpu.fake", "do not know each other"),
    ("adapters/storage/atomic_write.py", "dependency_injector", "only bootstrap"),
    ("adapters/gpu/fake.py", "torch", "torch lives in"),
    ("domain/errors.py", "hexfusion.domain.plan", "no circle"),
    (f"{TORCH}/files/weights.py", f"{TORCH_NAME}.checkpoint", "the torch backend is layered"),
    (f"{TORCH}/faces/files.py", f"{TORCH_NAME}.upscale.tiled", "the torch backend is layered"),
    (f"{TORCH}/sampling/loop.py", "diffusers", "sampling can be used alone"),
    ("application/jobs/orders.py", "hexfusion.application.planning", "the application is layered"),
    ("adapters/http/errors.py", "hexfusion.adapters.http.app", "the HTTP adapter is layered"),
    ("adapters/storage/folders.py", "hexfusion.adapters.storage.from_flags", "storage is layered"),
)


def lint(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of import-linter in `folder`: one called `hexfusion` is the package
    that is looked at, else it is the installed one."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    paths = filter(None, (str(folder.parent), os.environ.get("PYTHONPATH")))
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_contract_is_kept():
    status, report = lint(ROOT)
    assert status == 0, report
    for name in CONTRACTS:
        assert f"{name} KEPT" in re.sub(r"\s+", " ", report)


def test_every_contract_can_be_broken(tmp_path):
    """A contract that holds whatever one imports would protect nothing."""
    copy = tmp_path / PACKAGE
    for path in project_files():
        if path.parts[0] in (*ROOMS, *ROOT_FILES) and path.suffix in (".py", ".toml"):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copy / path)
    for path, imported, _ in BREACHES:
        with (copy / path).open("a") as file:
            file.write(f"\nimport {imported}\n")
    status, report = lint(copy)
    assert status == 1, report
    broken = set(re.findall(r"^(.*) BROKEN$", report, re.MULTILINE))
    assert broken == set(CONTRACTS)
    told = re.sub(r"\s+", " ", report)
    for path, imported, words in BREACHES:
        (contract,) = (name for name in CONTRACTS if words in name)
        if CONTRACTS[contract]["type"] != "acyclic_siblings":  # which tells of packages
            ours = imported.startswith(PACKAGE)
            name = imported if ours else imported.partition(".")[0]
            assert f"{module(Path(path))} -> {name}" in told, (contract, report)


def test_every_layer_is_named_in_its_contract():
    """A new folder has its place among the layers, or the contract says nothing of it."""
    layered = [contract for contract in CONTRACTS.values() if contract["type"] == "layers"]
    assert len(layered) >= 4
    assert all(contract["exhaustive"] for contract in layered)


def test_the_contracts_cover_every_package():
    packages = (path for path in project_files() if path.name == "__init__.py")
    rooms = {path.parts[0] for path in packages if len(path.parts) == 2}
    assert rooms == set(ROOMS)
    assert LINTER["root_packages"] == [PACKAGE]
    assert LINTER["include_external_packages"] is True


def test_the_independence_contract_covers_every_adapter():
    (contract,) = (c for c in CONTRACTS.values() if c["type"] == "independence")
    adapters = {
        f"{PACKAGE}.adapters.{path.parts[1]}"
        for path in project_files()
        if path.parts[0] == "adapters" and len(path.parts) > 2
    }
    assert set(contract["modules"]) == adapters


def third_party() -> set[str]:
    """What one writes after `import` for the packages we depend on."""
    names = {
        re.split(r"[^\w.-]", dependency, maxsplit=1)[0].lower().replace("_", "-")
        for dependency in CONFIG["project"]["dependencies"]
    }
    found = {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not module.startswith("_")
        and names & {package.lower().replace("_", "-") for package in packages}
    }
    return found - {"functorch", "torchgen", "attr", "bin", "tests"}


@pytest.mark.parametrize(
    ("room", "allowed"), [("domain", {"msgspec"}), ("application", {"msgspec", "PIL"})]
)
def test_the_inside_knows_none_of_our_dependencies(room, allowed):
    """A dependency added to the project must be added to the contracts too."""
    (contract,) = (
        c
        for c in CONTRACTS.values()
        if c["type"] == "forbidden" and c["source_modules"] == [f"{PACKAGE}.{room}"]
    )
    rooms = ("adapters", "bootstrap", *(("application",) if room == "domain" else ()))
    outside = {f"{PACKAGE}.{name}" for name in rooms}
    assert (third_party() - allowed) | outside <= set(contract["forbidden_modules"])
    assert not allowed & set(contract["forbidden_modules"])


def test_the_torch_contract_covers_every_adapter_but_torch_backend():
    (contract,) = (c for c in CONTRACTS.values() if "torch lives in" in c["name"])
    covered = tuple(contract["source_modules"])
    for path in project_files():
        if path.parts[0] == "adapters" and path.suffix == ".py":
            name = module(path)
            package = path.name == "__init__.py" and len(path.parts) < 4
            if not package and not name.startswith("hexfusion.adapters.gpu.torch_backend"):
                assert name.startswith(covered), name
