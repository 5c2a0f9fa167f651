"""A server whose memory is bounded tells what is too large, and the next picture is as before."""

import resource
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks import harness  # noqa: E402
from tests.adapters.gpu.torch_backend.layouts import write_small  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

#: Bytes that the server may take beyond what it has when it has made a small picture.
SPARE = 256 << 20


def address_space(pid: int) -> int:
    """Bytes."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmSize:"))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_too_large_a_picture_is_told_and_the_server_goes_on(tmp_path):
    """Spec api.md 2.1: `"error": "OutOfMemoryError"`; ours with the status that says so."""
    data = harness.data_directory(tmp_path)
    folder = data / "models/Stable-diffusion"
    write_small(folder / "one.safetensors")
    write_small(folder / "other.safetensors")
    small = harness.order(steps=2)
    large = harness.order(steps=2, width=2048, height=2048, batch_size=4)
    other = harness.order(steps=1, override_settings={"sd_model_checkpoint": "other"})
    flags = ("--threads", "1", "--no-download-sd-model", "--ckpt", str(folder / "one.safetensors"))
    with harness.server(data, *flags) as running:
        client = harness.Client(running.port)
        client.ask("POST", "/sdapi/v1/options", {"sd_checkpoints_limit": 2})
        client.ask("POST", "/sdapi/v1/txt2img", other)
        before = client.ask("POST", "/sdapi/v1/txt2img", small).json()["images"]
        limit = address_space(running.process.pid) + SPARE
        resource.prlimit(running.process.pid, resource.RLIMIT_AS, (limit, limit))
        for _ in range(2):
            refused = client.ask("POST", "/sdapi/v1/txt2img", large)
            assert refused.status == 507, refused.body[:500]
            told = refused.json()
            assert told["error"] == "OutOfMemoryError"
            assert told["errors"].startswith("not enough memory for 4 pictures of 2048x2048: ")
            assert client.ask("POST", "/sdapi/v1/txt2img", small).json()["images"] == before
        # The other checkpoint was let go of for that, and comes back.
        assert "freed" in (data / "server.log").read_text("utf-8")
        assert client.ask("POST", "/sdapi/v1/txt2img", other).status == 200
