"""Each example runs as its reader would run it, and is as short as it claims."""

import ast
import importlib.util
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from hexfusion import bootstrap
from hexfusion.adapters.http.server import Server
from hexfusion.domain.checkpoints import Checkpoint
from tests.contracts.inference import InferenceContract

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a checkpoint that is one in name only."""
    folder = tmp_path / "data/models/Stable-diffusion"
    folder.mkdir(parents=True)
    save_file({"weight": np.zeros(1, np.float32)}, folder / "some.safetensors")
    return tmp_path / "data"


def run(name: str, folder: Path, *arguments: str) -> tuple[Image.Image, str]:
    """Run an example in `folder`; its picture and what it printed."""
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Image.open(io.BytesIO((folder / "picture.png").read_bytes())), done.stdout


def test_generate(tmp_path: Path, data: Path) -> None:
    picture, said = run("generate", tmp_path, "--backend", "fake", "--data-dir", str(data))
    assert picture.size == (256, 256)
    assert said.startswith("a red circle on a blue background\nSteps: 50, Sampler: Euler,")


def test_own_backend(tmp_path: Path, data: Path) -> None:
    picture, _ = run("own_backend", tmp_path, "--data-dir", str(data))
    assert picture.size == (512, 512)
    assert len(set(picture.get_flattened_data())) > 1000


@pytest.fixture
def url(data: Path) -> Iterator[str]:
    flags = bootstrap.parse_flags(
        ["--backend", "fake", "--data-dir", str(data)], {}, absolute=os.path.abspath
    )
    app = bootstrap.build_app(bootstrap.assemble(flags))
    server = Server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()
    thread.join(10)


def test_client(tmp_path: Path, url: str) -> None:
    picture, said = run("client", tmp_path, url)
    assert picture.size == (256, 256)
    assert picture.text["parameters"] == said.rstrip("\n")
    assert "Steps: 20," in said


@pytest.mark.parametrize(("name", "limit"), [("generate", 10), ("own_backend", 38)])
def test_it_is_short(name: str, limit: int) -> None:
    assert lines_of_code(EXAMPLES / f"{name}.py") < limit


def lines_of_code(path: Path) -> int:
    """Lines that are not blank, docstring or comment."""
    text = path.read_text("utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in prose
        for number, line in enumerate(text.splitlines(), 1)
    )


class TestTheirBackend(InferenceContract):
    """The reader's own backend keeps the port's promises."""

    @pytest.fixture
    def backend(self):
        spec = importlib.util.spec_from_file_location("own_backend", EXAMPLES / "own_backend.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Clouds()

    @pytest.fixture
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(name="none", filename="/nowhere")
