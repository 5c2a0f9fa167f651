"""SIGTERM while a step is at work that nothing can interrupt: the process ends after the grace."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness import Client, free_port

pytestmark = pytest.mark.waits

PATIENCE = 60.0

FAKE = """
import sys, threading, time
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference

def render(*_):
    print("rendering", flush=True)
    threading.Thread(target=time.sleep, args=(600,)).start()  # no daemon: Python waits for it
    time.sleep(600)

FakeInference.render = render
sys.exit(bootstrap.main(sys.argv[1:]))
"""

#: The same, at work in torch: Python stops such threads at the end, and torch does not bear it.
TORCH = """
import sys
import torch
from hexfusion import bootstrap
from hexfusion.adapters.gpu.fake import FakeInference

def render(*_):
    print("rendering", flush=True)
    weights = torch.randn(400, 400, requires_grad=True)
    while True:
        torch.tanh(weights @ weights)

FakeInference.render = render
sys.exit(bootstrap.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "program",
    [FAKE, pytest.param(TORCH, marks=pytest.mark.torch)],
    ids=["sleeping", "in torch"],
)
def test_the_process_ends_after_the_grace_with_status_0(program: str, tmp_path: Path) -> None:
    """Not with -6 (torch aborts), and not never. 0, since it was stopped as it was told to be."""
    log = tmp_path / "log"
    port = free_port()
    flags = ["--backend", "fake", "--data-dir", str(tmp_path / "data"), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *flags, "--grace", "1"], stdout=out, stderr=out
        )
    try:
        ask_async(port)
        wait_for(lambda: "rendering" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert "threads that were left" in log.read_text()
    finally:
        process.kill()
        process.wait()


def ask_async(port: int) -> None:
    client, end = Client(port, timeout=PATIENCE), time.monotonic() + PATIENCE
    while True:
        try:
            reply = client.ask(
                "POST", "/sdapi/v1/txt2img", {"steps": 1}, {"Prefer": "respond-async"}
            )
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            assert reply.status == 202
            return


def wait_for(what) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
