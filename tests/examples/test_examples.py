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
from hexfusion.adapters.http.serving.server import Server
from hexfusion.domain.checkpoints import Checkpoint
from tests.contracts.inference import InferenceContract

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
#: Those that a test below runs, and lines of code that each may have.
RUN = {
    "client": 15,
    "extras": 15,
    "generate": 10,
    "img2img": 20,
    "own_backend": 42,
    "progress": 25,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a checkpoint that is one in name only."""
    folder = tmp_path / "data/models/Stable-diffusion"
    folder.mkdir(parents=True)
    save_file({"weight": np.zeros(1, np.float32)}, folder / "some.safetensors")
    return tmp_path / "data"


def run(name: str, folder: Path, *arguments: str) -> tuple[Image.Image, str]:
    """Run an example in `folder`; the first picture it wrote, and what it printed."""
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = min(path for path in folder.iterdir() if path.stem.startswith("picture"))
    return Image.open(io.BytesIO(written.read_bytes())), done.stdout


def fake(data: Path) -> list[str]:
    return ["--backend", "fake", "--data-dir", str(data)]


def test_generate(tmp_path: Path, data: Path) -> None:
    picture, said = run("generate", tmp_path, *fake(data))
    assert picture.size == (256, 256)
    assert said.startswith("a red circle on a blue background\nSteps: 50, Sampler: Euler,")
    assert picture.text["parameters"] == said.rstrip("\n")


def test_img2img(tmp_path: Path, data: Path) -> None:
    picture, _ = run("img2img", tmp_path, *fake(data))
    assert picture.size == (256, 256)
    assert "Denoising strength: 0.6" in picture.text["parameters"]
    with Image.open(tmp_path / "half.png") as half:
        left, right = (0, 0, 100, 256), (156, 0, 256, 256)
        assert half.crop(left).tobytes() == picture.crop(left).tobytes()
        assert half.crop(right).tobytes() != picture.crop(right).tobytes()


def test_extras(tmp_path: Path, data: Path) -> None:
    picture, said = run("extras", tmp_path, *fake(data))
    assert picture.size == (256, 256)
    assert said.startswith("Nearest: (64, 64) -> (256, 256)\na yellow star\nSteps: 50,")
    assert picture.text["postprocessing"].startswith("Postprocess upscale by: 4")


def test_progress(tmp_path: Path, data: Path) -> None:
    picture, said = run("progress", tmp_path, *fake(data))
    assert (picture.format, picture.size) == ("WEBP", (256, 256))
    assert {path.name for path in tmp_path.glob("picture-*")} == {
        "picture-0.webp",
        "picture-1.webp",
    }
    assert "100%" in said


def test_own_backend(tmp_path: Path, data: Path) -> None:
    picture, _ = run("own_backend", tmp_path, "--data-dir", str(data))
    assert picture.size == (512, 512)
    assert len(set(picture.get_flattened_data())) > 1000


def test_every_example_is_run_and_listed() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    assert names == {f"{name}.py" for name in RUN}
    assert not [name for name in names if f"`{name}`" not in listed]


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


@pytest.mark.parametrize(("name", "limit"), RUN.items())
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
