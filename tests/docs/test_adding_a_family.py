"""docs/adding-a-family.md, done: its diff makes a family, recognised and drawn as such."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.sight import assert_differ

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/adding-a-family.md"

#: What a fresh process does with the copy: loads both files, and makes a picture with each.
USE = """
import json, os
from pathlib import Path
from falcon.testing import TestClient
from hexfusion import bootstrap
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.domain.flags import parse_flags

argv = ["--data-dir", "data", "--threads", "1", "--backend", "torch", "--ckpt-dir", "checkpoints"]
container = bootstrap.assemble(parse_flags(argv, {}, absolute=os.path.abspath))
client = TestClient(bootstrap.build_app(container))
request = {"prompt": "a red circle", "seed": 1, "steps": 3, "width": 64, "height": 64}
told = {"from": bootstrap.__file__}
for name in ("marked", "plain"):
    chosen = {"override_settings": {"sd_model_checkpoint": name}}
    reply = client.simulate_post("/sdapi/v1/txt2img", json=request | chosen).json
    model = load_checkpoint(Path(f"checkpoints/{name}.safetensors"))
    facts = [model.family.name, model.prediction, model.scale_factor]
    told[name] = {"facts": facts, "picture": reply["images"][0]}
print(json.dumps(told))
"""


def diff() -> str:
    (found,) = re.findall(r"```diff\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return found


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
    command = ["git", "apply", "--verbose", "-"]
    # Not inside a repository, whose ignored folders it would pass over in silence.
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    subprocess.run(command, input=diff(), text=True, cwd=folder, env=outside, check=True)
    return folder


@pytest.mark.torch
def test_its_diff_makes_a_family(copy: Path) -> None:
    import torch

    from tests.adapters.gpu.torch_backend.layouts import write_small

    folder = copy / "checkpoints"
    folder.mkdir()
    write_small(folder / "plain.safetensors")
    write_small(folder / "marked.safetensors", v_pred=torch.ones(1))
    made = use(copy)
    assert Path(made["from"]).parent == copy
    marked, plain = made["marked"], made["plain"]
    assert plain["facts"] == ["SD1", "epsilon", 0.18215]
    assert marked["facts"] == ["SD1 XL-VAE", "v", 0.13025]
    assert_differ(*(Image.open(BytesIO(b64decode(each["picture"]))) for each in (marked, plain)))


def test_it_costs_what_the_page_says() -> None:
    """One new file, and two lines in another."""
    new, registry = re.split(r"^--- a/", diff(), flags=re.MULTILINE)
    added = [re.findall(r"^\+(?!\+\+ )", part, re.MULTILINE) for part in (new, registry)]
    lines, others = map(len, added)
    assert new.startswith("--- /dev/null\n")
    assert registry.startswith("adapters/gpu/torch_backend/families/registry.py\n")
    assert not re.search(r"^-", diff().replace("--- ", ""), re.MULTILINE)
    page = " ".join(PAGE.read_text("utf-8").split())
    assert f"one file of {lines} lines, and two lines in another" in page
    assert others == 2


def use(copy: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    command = [sys.executable, "-c", USE]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
