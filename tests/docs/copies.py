"""Pages that add something, done: their diff is applied to a copy of the sources, which a process
of its own then uses."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def patched(page: str, folder: Path) -> Path:
    """The sources in a folder of the package's name below `folder`, with that page's diff applied;
    without git, which does it, the test is skipped."""
    if shutil.which("git") is None:
        pytest.skip("git is absent, which applies the diff")
    copy = folder / "hexfusion"
    for package in ("domain", "application", "adapters"):
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    for file in ("bootstrap.py", "__init__.py"):
        shutil.copy(ROOT / file, copy)
    for weights in (ROOT / "adapters").rglob("*.safetensors"):
        (copy / weights.relative_to(ROOT)).symlink_to(weights)
    (diff,) = re.findall(r"```diff\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)
    command = ["git", "apply", "--verbose", "-"]
    # Not inside a repository, whose ignored folders it would pass over in silence.
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    subprocess.run(command, input=diff, text=True, cwd=copy, env=outside, check=True)
    return copy


def used(copy: Path, code: str, *arguments: str) -> Any:
    """What a fresh process prints last, JSON, when it runs `code` with the copy as `hexfusion`."""
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
