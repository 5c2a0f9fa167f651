"""A thousand requests of every kind on the real backend: does the server's memory level off?

python -m benchmarks.soak [--requests 1000] [--threads 1] [--checkout DIR] [--json FILE]

Sizes, LoRAs, hires fix, img2img, inpainting, extras and two checkpoints in turn, each request with
a prompt of its own, one after the other. Exit status 1 if the mean RSS of the last third is more
than 3 % above that of the second, or a request fails.
"""

import argparse
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from PIL import Image
from rich.table import Table

from benchmarks import harness
from benchmarks.harness import Client

BAR = 0.03
TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
EXTRAS = "/sdapi/v1/extra-single-image"
SIDES = (64, 72, 80, 96, 104, 128)
SAMPLERS = ("Euler a", "DPM++ 2M", "DDIM", "Heun", "UniPC")
WORDS = ("red", "blue", "circle", "square", "tree", "house", "sky", "night", "photo", "cat")


@dataclass(frozen=True)
class Look:
    """The server's memory after a request. `rss` is in MB."""

    number: int
    kind: str
    rss: float
    seconds: float


def prepared(folder: Path) -> tuple[Path, list[str], list[str]]:
    """A data directory, the names of its two checkpoints, and of its LoRAs for the first."""
    loras: list[str] = []
    if harness.TINY.is_file():
        data = harness.data_directory(folder, harness.TINY, harness.STARTER)
        below = data / "models" / "Lora"
        below.mkdir()
        for path in sorted((harness.RECORDINGS / "data/models/Lora").glob("tinylora*.safetensors")):
            shutil.copyfile(path, below / path.name)
            loras.append(path.stem)
        return data, [harness.TINY.stem, harness.STARTER.stem], loras
    data = harness.data_directory(folder, harness.STARTER)
    other = data / "models" / "Stable-diffusion" / "other.safetensors"
    _write_other(other)
    return data, [other.stem, harness.STARTER.stem], loras


def _write_other(path: Path) -> None:
    """A checkpoint like the starter, of slightly other weights."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(harness.STARTER, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = file.metadata()
    for name, tensor in tensors.items():
        if name.startswith("model.diffusion_model.") and tensor.is_floating_point():
            tensors[name] = tensor * 1.0001
    save_file(tensors, path, told)


def orders(
    count: int, models: Sequence[str], loras: Sequence[str]
) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Kind, path and body of each request: the same every time."""
    draw = random.Random(7)
    for number in range(count):
        model = models[number // 10 % 2]  # ten by one, ten by the other
        width, height = draw.choice(SIDES), draw.choice(SIDES)
        prompt = f"{' '.join(draw.sample(WORDS, 3))} number {number}"
        body: dict[str, object] = dict(
            prompt=prompt,
            seed=number,
            steps=draw.randint(2, 4),
            width=width,
            height=height,
            sampler_name=draw.choice(SAMPLERS),
            override_settings={"sd_model_checkpoint": model},
        )
        match number % 6:
            case 0:
                yield "txt2img", TXT2IMG, {**body, "batch_size": 2}
            case 1:
                name = draw.choice(loras) if loras and model == models[0] else None
                if name is not None:
                    body["prompt"] = f"{prompt} <lora:{name}:{draw.uniform(0.1, 1):.2f}>"
                yield "LoRA" if name else "txt2img", TXT2IMG, body
            case 2:
                scale = draw.choice((1.25, 1.5, 2))
                hires = {"enable_hr": True, "hr_scale": scale, "denoising_strength": 0.5}
                yield "hires", TXT2IMG, {**body, **hires, "hr_upscaler": "Latent"}
            case 3:
                yield "img2img", IMG2IMG, {**body, "init_images": [noise(draw, width, height)]}
            case 4:
                mask = noise(draw, width, height)
                start = [noise(draw, width, height)]
                yield "inpainting", IMG2IMG, {**body, "init_images": start, "mask": mask}
            case _:
                image = noise(draw, 4 * width, 4 * height)
                yield "extras", EXTRAS, {"image": image, "upscaler_1": "Lanczos"}


def noise(draw: random.Random, width: int, height: int) -> str:
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), draw.randbytes(3 * width * height)).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def soak(count: int, threads: int, checkout: Path) -> tuple[list[Look], dict[int, int]]:
    """What was seen, and how often each status was answered."""
    looks: list[Look] = []
    statuses: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="hexfusion-soak-") as folder:
        package = Path(folder) / "package"
        package.mkdir()
        (package / "hexfusion").symlink_to(checkout, target_is_directory=True)
        data, models, loras = prepared(Path(folder) / "data")
        port, log = harness.free_port(), Path(folder) / "server.log"
        command = [sys.executable, "-m", "hexfusion.bootstrap", "--data-dir", str(data)]
        command += ["--port", str(port), "--threads", str(threads), "--no-half"]
        environ = {**os.environ, "PYTHONPATH": str(package)}
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        try:
            harness.wait_until_up(process, port, log)
            client, watched = Client(port), psutil.Process(process.pid)
            for number, (kind, path, body) in enumerate(orders(count, models, loras)):
                reply = client.ask("POST", path, body)
                statuses[reply.status] = statuses.get(reply.status, 0) + 1
                if reply.status != 200:
                    print(kind, reply.status, reply.body[:300], file=sys.stderr)
                rss = watched.memory_info().rss / 1e6
                looks.append(Look(number, kind, rss, reply.seconds))
                if number % 100 == 99:
                    print(f"{number + 1} requests, {rss:.0f} MB", file=sys.stderr, flush=True)
            client.close()
        finally:
            process.kill()
            process.wait()
    return looks, statuses


def thirds(looks: Sequence[Look]) -> list[Sequence[Look]]:
    third = len(looks) // 3
    return [looks[:third], looks[third : 2 * third], looks[2 * third :]]


def growth(looks: Sequence[Look]) -> float:
    """By which share the last third's mean memory exceeds the second's."""
    _, second, last = (statistics.fmean(each.rss for each in part) for part in thirds(looks))
    return last / second - 1


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkout", type=Path, default=harness.ROOT, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    if asked.requests < 3:
        parser.error("--requests must be at least 3")
    started = time.monotonic()
    looks, statuses = soak(asked.requests, asked.threads, asked.checkout.resolve())
    made = Table("third", "requests", "least MB", "mean MB", "most MB", "seconds")
    for name, part in zip(("first", "second", "last"), thirds(looks), strict=True):
        rss = [each.rss for each in part]
        figures = (min(rss), statistics.fmean(rss), max(rss), sum(each.seconds for each in part))
        made.add_row(name, str(len(part)), *(f"{figure:.1f}" for figure in figures))
    harness.console().print(made)
    grown = growth(looks)
    print(f"last third against the second: {grown:+.2%}; answers: {statuses}")
    print(f"{time.monotonic() - started:.0f} s")
    harness.save(asked.json, {"growth": grown, "looks": [asdict(each) for each in looks]})
    return 0 if grown <= BAR and set(statuses) == {200} else 1


if __name__ == "__main__":
    sys.exit(main())
