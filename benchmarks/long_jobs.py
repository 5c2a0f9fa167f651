"""The largest jobs: how fast one too large is refused, and the memory that one which fits takes.

Each attack runs in a process of its own, which is a whole server inside (fake backend, no socket),
so that its peak memory is that of the request. `--tree` names another checkout to measure, such as
the commit before; a process that would take more than `--most` GiB is stopped.

    python -m benchmarks.long_jobs [--tree DIR] [--json FILE]
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KIB = 1 << 10
#: What is asked for: a path, and a body.
ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing but a picture": ("txt2img", {"steps": 1}),
    "16 KB x 128 x 1000": (
        "txt2img",
        {"prompt": "a" * 16 * KIB, "batch_size": 128, "n_iter": 1000, "steps": 1},
    ),
    "800 pictures of 512x512": ("txt2img", {"steps": 1, "batch_size": 8, "n_iter": 100}),
    "800 pictures of noise": (
        "img2img",
        {"steps": 1, "batch_size": 8, "n_iter": 100, "denoising_strength": 0.1, "noise": 512},
    ),
    "240 MP in 15 batches": (
        "txt2img",
        {"steps": 1, "width": 4096, "height": 4096, "n_iter": 15},
    ),
    "a batch of 32 MP": (
        "txt2img",
        {"steps": 1, "width": 2048, "height": 2048, "batch_size": 8, "save_images": True},
    ),
    "32 MiB of prompts": (
        "txt2img",
        {
            "prompt": "\u8a9e" * (64 * KIB // 3),
            "steps": 1,
            "width": 64,
            "height": 64,
            "batch_size": 8,
            "n_iter": 64,
        },
    ),
    "inpainting 32 MP": (
        "img2img",
        {"steps": 1, "width": 2048, "height": 2048, "batch_size": 8, "noise": 2048, "mask": True},
    ),
    "inpainting in 2 x 14 MP": (
        "img2img",
        {"steps": 1, "batch_size": 2, "noise": 3840, "mask": True, "inpaint_full_res": True},
    ),
    "a matrix of 2^16": (
        "txt2img",
        {
            "prompt": "|".join("a" * 1000 for _ in range(17)),
            "batch_size": 128,
            "script_name": "prompt matrix",
            "script_args": [False, False, "positive", "comma", 0],
        },
    ),
    "a million lines": (
        "txt2img",
        {
            "script_name": "prompts from file or textbox",
            "script_args": [False, False, "start", "a\n" * 10**6],
        },
    ),
    "a million arguments": ("txt2img", {"script_args": [0] * 10**6}),
    "a prompt of 16 MB": ("txt2img", {"prompt": "a," * 8_000_000, "steps": 1}),
}


def noise(side: int) -> str:
    """A picture of noise, which no format makes smaller, as base64."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def white(side: int) -> str:
    """A mask that is white in the middle, as base64."""
    import io

    from PIL import Image

    mask, file = Image.new("L", (side, side)), io.BytesIO()
    mask.paste(255, (side // 4, side // 4, side // 2, side // 2))
    mask.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def attack(name: str) -> None:
    """Do it in this process, and print what came of it as JSON."""
    import resource
    import time

    from falcon import testing

    from hexfusion import bootstrap

    path, body = ATTACKS[name]
    body = dict(body)
    if side := body.pop("noise", 0):
        body["init_images"] = [noise(side)]
        if body.pop("mask", False):
            body["mask"] = white(side)
    with tempfile.TemporaryDirectory() as data:
        flags = bootstrap.parse_flags(
            ["--data-dir", data, "--backend", "fake"], {}, absolute=os.path.abspath
        )
        client = testing.TestClient(bootstrap.build_app(bootstrap.assemble(flags)))
        client.simulate_post("/sdapi/v1/txt2img", json={"steps": 1, "width": 64, "height": 64})
        text = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        before = _peak(resource)
        began = time.perf_counter()
        answer = client.simulate_post(f"/sdapi/v1/{path}", body=text, headers=headers)
        seconds = time.perf_counter() - began
        peak = _peak(resource)
        print(
            json.dumps(
                {
                    "status": answer.status_code,
                    "seconds": round(seconds, 3),
                    "peak MiB": round(peak),
                    "more MiB": round(peak - before),
                    "reply MiB": round(len(answer.content) / (1 << 20), 1),
                }
            )
        )


def _peak(resource: Any) -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / KIB


def measured(name: str, tree: Path, most: float) -> dict[str, Any]:
    """One attack on that checkout; how it ended, where it did not end by itself."""
    environ = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    words = f"ulimit -v {int(most * KIB * KIB)}; exec {sys.executable} {__file__} --one '{name}'"
    try:
        done = subprocess.run(
            ["bash", "-c", words], env=environ, capture_output=True, text=True, timeout=300
        )
    except subprocess.TimeoutExpired:
        return {"status": "no answer in 300 s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [str(done.returncode)])[-1]
        return {"status": f"ended: {last[:80]}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """Run every attack, or the named one in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=ATTACKS)
    parser.add_argument("--only", default="", help="attacks whose name has this")
    parser.add_argument("--tree", type=Path, default=Path(os.environ.get("PYTHONPATH", ".")))
    parser.add_argument("--most", type=float, default=4.0, help="GiB of address space")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.one:
        attack(asked.one)
        return 0
    found = {}
    for name in ATTACKS:
        if asked.only in name:
            found[name] = measured(name, asked.tree, asked.most)
            print(f"{name:26} {found[name]}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
