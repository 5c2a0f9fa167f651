"""`make run`, with the fake backend: as a newcomer sees it, where there is no terminal."""

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder with a checkpoint, which the fake backend never opens."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "data/models/Stable-diffusion/x.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return tmp_path / "data"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def first_picture(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools/first_picture.py", *arguments]
    environ = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        command,
        env=environ,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_makes_a_picture_says_where_it_is_and_stops_the_server(data, port):
    flags = ("--backend", "fake", "--data-dir", str(data), "--port", str(port))
    done = first_picture("--prompt", "it's a star", "--size", "64", "--", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    with PIL.Image.open(data / "first-picture.png") as picture:
        assert picture.size == (64, 64)
        assert picture.info["parameters"].startswith("it's a star\n")
    assert str(data / "first-picture.png") in done.stdout
    assert f"curl -s http://127.0.0.1:{port}/sdapi/v1/txt2img" in done.stdout
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_taken_port_is_told(data, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = first_picture("--", "--backend", "fake", "--data-dir", str(data), f"--port={port}")
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stdout
    assert not (data / "first-picture.png").exists()


def test_a_server_that_ends_is_told_with_what_it_said(data, port):
    """Half of what HTTPS needs: the server refuses to start."""
    done = first_picture("--", f"--data-dir={data}", f"--port={port}", "--tls-keyfile=key.pem")
    assert done.returncode == 1
    assert "the server ended with status 2" in done.stdout and "--tls-keyfile" in done.stdout


def test_a_refused_request_is_told(data, port):
    flags = ("--backend", "fake", "--data-dir", str(data), "--port", str(port))
    done = first_picture("--steps", "0", "--", *flags)
    assert done.returncode == 1
    assert "steps" in done.stdout


def test_a_wrong_flag_is_told(data):
    done = first_picture("--", "--prot", "80")
    assert done.returncode == 1
    assert "did you mean --port?" in done.stdout
