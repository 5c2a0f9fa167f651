"""Invariant 5: nothing happens at import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import modules

PROGRAM = Path(__file__).with_name("import_everything.py")


def complaints(names: list[str], *, without_torch: bool = True) -> list[str]:
    """What importing these modules, in a fresh interpreter, did beyond defining things."""
    torchless = "sys.modules.update(dict.fromkeys(['torch', 'diffusers', 'transformers']))"
    lines = (
        "import runpy, sys",
        torchless if without_torch else "",
    )
    code = "\n".join((*lines, f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"))
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(names), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_all_but_the_torch_backend_does_nothing_and_needs_no_torch():
    names = [
        name
        for name in modules("domain", "application", "adapters", "bootstrap.py", "__init__.py")
        if not name.startswith("hexfusion.adapters.gpu.torch_backend")
    ]
    expected = ("bootstrap", "domain", "application.jobs.queue", "adapters.http.app")
    assert {f"hexfusion.{name}" for name in expected} <= set(names)
    assert complaints(names) == []


@pytest.mark.torch
def test_importing_the_torch_backend_touches_no_device_and_no_file():
    names = [n for n in modules("adapters") if n.startswith("hexfusion.adapters.gpu.torch_backend")]
    assert len(names) > 10
    assert complaints(names, without_torch=False) == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("open(__file__)", "open"),
        ("import os; os.environ.get('HOME')", "environment 'HOME'"),
        ("import os; 'HOME' in os.environ", "environment 'HOME'"),
        ("import pathlib; pathlib.Path(__file__).read_text()", "open"),
        ("import subprocess; subprocess.run(['true'])", "subprocess"),
        ("import socket; socket.socket().close()", "socket"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
         "threads"),
    ],
)  # fmt: skip
def test_these_tests_would_notice(tmp_path, line, word):
    """A module outside the project stands for one of ours: the watch is told to look there."""
    program = tmp_path / "tests/architecture/import_everything.py"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.read_text("utf-8"), "utf-8")
    (tmp_path / "guilty.py").write_text(line + "\n")
    code = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += f"runpy.run_path({str(program)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], input='["guilty"]', capture_output=True, text=True, check=True
    )
    assert any(word in complaint for complaint in json.loads(done.stdout))


def test_no_container_is_built():
    from dependency_injector import containers

    from hexfusion import bootstrap

    assert not [o for o in vars(bootstrap).values() if isinstance(o, containers.DynamicContainer)]
    assert isinstance(bootstrap.Container(), containers.DynamicContainer)  # one would be seen
