"""What a page of docs promises, done: its diff is applied to a copy of the sources."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What a fresh process begins with: `client` answers over the copy, whose flags are `argv`.
BEGIN = """
import json, os, sys
from falcon.testing import TestClient
from hexfusion import bootstrap
from hexfusion.domain.flags import parse_flags

argv = ["--data-dir", "data", "--threads", "1", *sys.argv[1:]]
container = bootstrap.assemble(parse_flags(argv, {}, absolute=os.path.abspath))
client = TestClient(bootstrap.build_app(container), headers={"Host": "localhost"})
request = {"prompt": "a red circle", "seed": 1, "steps": 4, "width": 64, "height": 64}

def made(**fields):
    return client.simulate_post("/sdapi/v1/txt2img", json={**request, **fields}).json
"""


class Page:
    """A copy of the sources with a page's diff applied. `files` and `lines` count what it costs:
    files that are touched, and lines that are added and not blank."""

    def __init__(self, name: str, folder: Path) -> None:
        text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
        (self.diff,) = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
        self.folder = folder / "hexfusion"
        added = re.findall(r"^\+(?!\+\+ )(.*)$", self.diff, re.MULTILINE)
        self.files = re.findall(r"^\+\+\+ b/(.*)$", self.diff, re.MULTILINE)
        self.lines = sum(bool(line.strip()) for line in added)
        self._copy()
        self._apply()

    def _copy(self) -> None:
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        for package in ("domain", "application", "adapters"):
            shutil.copytree(ROOT / package, self.folder / package, ignore=ignored)
        for file in ("bootstrap.py", "__init__.py"):
            shutil.copy(ROOT / file, self.folder)
        for weights in (ROOT / "adapters").rglob("*.safetensors"):
            (self.folder / weights.relative_to(ROOT)).symlink_to(weights)

    def _apply(self) -> None:
        # Not inside a repository, whose ignored folders it would pass over in silence.
        outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder.parent.parent)}
        command = ["git", "apply", "--verbose", "-"]
        subprocess.run(
            command, input=self.diff, text=True, cwd=self.folder, env=outside, check=True
        )

    def use(self, program: str, *flags: str) -> Any:
        """What `program`, run in a process of its own over the copy, prints last, as JSON.

        It begins with `BEGIN`, and with `made(**fields)`, which makes a picture.
        """
        environment = {**os.environ, "PYTHONPATH": str(self.folder.parent)}
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + program, *flags],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Page]:
    """A page by the name of its file."""
    if shutil.which("git") is None:
        pytest.skip("git is absent, which applies the diff")
    return lambda name: Page(name, tmp_path)
