"""Invariant 4: the app and its tests run where torch is absent."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.architecture.source import ROOT

#: It is the suite again, in processes of its own: all others would wait for it.
pytestmark = pytest.mark.long

#: The interpreter reads this at its start, and so does every one started from the tests.
ABSENT = """\
import sys
sys.modules.update(dict.fromkeys(("torch", "diffusers", "transformers", "accelerate")))
"""
#: These need torch by their nature, are these very tests, or start programs where it is not absent.
LEFT_OUT = (
    "tests/architecture",
    "tests/adapters/gpu/torch_backend",
    "tests/packaging",
    "tests/tools/starter",
)


def test_the_tests_pass_with_torch_absent(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    report = tmp_path / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not torch and not slow and not waits",
        "tests",
    ]
    command += [f"--ignore={path}" for path in LEFT_OUT]
    command += [f"--junitxml={report}", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = where_tests_passed(report)
    for part in ("tests.domain", "tests.application", "tests.adapters.http", "tests.adapters.gpu"):
        assert any(name.startswith(part) for name in passed), f"no test ran below {part}"


def where_tests_passed(report: Path) -> set[str]:
    """The modules with a test that ran and passed."""
    cases = ElementTree.parse(report).iter("testcase")
    return {case.get("classname", "") for case in cases if not len(case)}


def test_torch_is_really_absent_there(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    done = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "ModuleNotFoundError" in done.stderr
