"""docs/adding-a-sampler.md, done: its diff makes a sampler, listed and usable."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hexfusion.domain.sampling.samplers import SAMPLERS

ROOT = Path(__file__).resolve().parents[2]

#: What a fresh process does with the copy: lists the samplers, and makes a picture with the new.
USE = """
import json, os, sys
from falcon.testing import TestClient
from hexfusion import bootstrap
from hexfusion.domain.flags import parse_flags

argv = ["--data-dir", "data", "--threads", "1", "--backend", sys.argv[1]]
container = bootstrap.assemble(parse_flags(argv, {}, absolute=os.path.abspath))
client = TestClient(bootstrap.build_app(container))
request = {"prompt": "a red circle", "seed": 1, "steps": 4, "width": 64, "height": 64}
replies = [
    client.simulate_post("/sdapi/v1/txt2img", json={**request, "sampler_name": name}).json
    for name in ("ab2", "Euler")
]
print(json.dumps({
    "from": bootstrap.__file__,
    "samplers": client.simulate_get("/sdapi/v1/samplers").json,
    "pictures": [reply["images"][0] for reply in replies],
    "infotext": json.loads(replies[0]["info"])["infotexts"][0],
}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources in a folder of the package's name, with the page's diff applied."""
    if shutil.which("git") is None:
        pytest.skip("git is absent, which applies the diff")
    folder = tmp_path / "hexfusion"
    for package in ("domain", "application", "adapters"):
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for file in ("bootstrap.py", "__init__.py"):
        shutil.copy(ROOT / file, folder)
    for weights in (ROOT / "adapters").rglob("*.safetensors"):
        (folder / weights.relative_to(ROOT)).symlink_to(weights)
    page = (ROOT / "docs/adding-a-sampler.md").read_text("utf-8")
    (diff,) = re.findall(r"```diff\n(.*?)```", page, re.DOTALL)
    command = ["git", "apply", "--verbose", "-"]
    # Not inside a repository, whose ignored folders it would pass over in silence.
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    subprocess.run(command, input=diff, text=True, cwd=folder, env=outside, check=True)
    return folder


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_its_diff_makes_a_sampler(copy: Path, backend: str) -> None:
    made = use(copy, backend)
    assert Path(made["from"]).parent == copy
    assert len(made["samplers"]) == len(SAMPLERS) + 1
    assert made["samplers"][-1] == {"name": "Adams-Bashforth", "aliases": ["ab2"], "options": {}}
    assert "Sampler: Adams-Bashforth, Schedule type: Automatic," in made["infotext"]
    mine, eulers = made["pictures"]
    assert mine != eulers


def use(copy: Path, backend: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    command = [sys.executable, "-c", USE, backend]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
