"""Every family of checkpoints at its true size: python -m benchmarks.families [NAME ...]

Each is written with random weights (its names and shapes are the published ones), loaded by the
server's own loader with the network forbidden, and makes one step at 64x64 to a decoded picture:
in a process of its own, so that the peak of memory is its own. docs/families.md keeps a run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness

if TYPE_CHECKING:
    from PIL.Image import Image

GB = 1e9
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Measured:
    """One load and one step. Bytes are of resident memory, of interpreter and libraries too.

    `held` is after loading; peaks are since the process began, of loading and at the end.
    """

    name: str
    family: str
    prediction: str
    stored: str
    computed: str
    others: str
    tensors: int
    file_bytes: int
    load_seconds: float
    step_seconds: float
    held: int
    load_peak: int
    peak: int

    @property
    def overhead(self) -> float:
        """The peak of loading, in sizes of what is then held."""
        return self.load_peak / max(1, self.held)


def measure(
    name: str,
    folder: Path,
    *,
    stored: str = "bfloat16",
    computed: str = "bfloat16",
    others: str = "float32",
) -> Measured:
    """Write that kind's file into `folder`, load it and make a step elsewhere, delete it.

    The UNet computes as `computed` says, its other networks as `others`: on processors without
    instructions for half precision convolutions are some forty times slower in it.

    Raises `RuntimeError` with the other process's last words if it fails.
    """
    import torch

    from benchmarks.family_files import by_name, write_random

    path = folder / f"{name.replace(' ', '-')}.safetensors"
    try:
        write_random(path, by_name(name), getattr(torch, stored))
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.families", name, "--load", str(path),
             "--stored", stored, "--computed", computed, "--others", others],
            cwd=harness.ROOT, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        path.unlink(missing_ok=True)
    if ran.returncode:
        raise RuntimeError(f"{name}: {ran.stderr.strip()[-2000:]}")
    return Measured(**json.loads(ran.stdout.splitlines()[-1]))


def load_and_step(name: str, path: Path, stored: str, computed: str, others: str) -> Measured:
    """In this process, which never reaches the network again. Raises what does not hold."""
    import torch

    from benchmarks.family_files import by_name
    from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes
    from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
    from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
    from hexfusion.adapters.gpu.torch_backend.devices import choose_device
    from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
    from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
    from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
    from hexfusion.adapters.gpu.torch_backend.precision import Precision
    from hexfusion.domain.checkpoints import Checkpoint
    from tests.contracts.inference import Witness, from_picture, plan, sources

    kind, device = by_name(name), choose_device()
    unet, other = getattr(torch, computed), getattr(torch, others)
    precision = Precision(unet, other, other)
    sys.addaudithook(_stay_offline)

    weights = read_weights(path)
    found = infer_architecture(Shapes(str(path), weights.shapes()), OriginalConfig())
    # of SD2 only the network itself can tell
    prediction = found.prediction or load_checkpoint(path, device, precision).prediction
    if (found.family.name, prediction) != (kind.family, kind.prediction):
        raise RuntimeError(f"taken for {found.family.name} that predicts {prediction}")

    backend = TorchInference(device, precision)
    checkpoint = Checkpoint(name=path.name, filename=str(path))
    began = time.perf_counter()
    backend.load(checkpoint)
    load_seconds = time.perf_counter() - began
    held, load_peak = _memory("VmRSS"), _memory("VmHWM")
    wanted, start = plan(checkpoint, steps=1), None
    if kind.from_picture:
        mask = _half() if kind.masked else None
        wanted, start = from_picture(wanted, strength=1.0), sources(mask=mask)
    began = time.perf_counter()
    (picture,) = backend.render(wanted, Witness(), start).pictures
    step_seconds = time.perf_counter() - began
    if picture.size != (64, 64):
        raise RuntimeError(f"a picture of {picture.size}")
    return Measured(
        name=name,
        family=kind.family,
        prediction=kind.prediction,
        stored=stored,
        computed=computed,
        others=others,
        tensors=len(weights),
        file_bytes=path.stat().st_size,
        load_seconds=load_seconds,
        step_seconds=step_seconds,
        held=held,
        load_peak=load_peak,
        peak=_memory("VmHWM"),
    )


def _half() -> "Image":
    from PIL import Image

    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    return mask


def _stay_offline(event: str, _: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError("loading asked the network")


def _memory(what: str) -> int:
    """Bytes of this process: resident now (VmRSS), or the most there ever were (VmHWM).

    Of Linux; elsewhere 0.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def page(rows: Sequence[Measured]) -> str:
    """docs/families.md."""
    lines = [HEAD.format(**harness.machine())]
    lines += [
        f"| {row.name} | {row.stored}, {row.tensors} | {row.file_bytes / GB:.2f} "
        f"| {row.family}, {row.prediction} | yes, {row.load_seconds:.0f} s "
        f"| yes, {row.step_seconds:.0f} s | {row.computed}, {row.others} | {row.held / GB:.2f} "
        f"| {row.load_peak / GB:.2f} ({row.overhead:.2f}) "
        f"| {row.peak / GB:.2f} | {PROVEN[row.name]} |\n"
        for row in rows
    ]
    return "".join(lines) + TAIL


HEAD = """# Families of checkpoints

A checkpoint's family and dimensions are read off the names and shapes of its tensors; nothing else
is needed, and nothing is downloaded. No released file of these families could be had where this was
written: **every file here is of random weights**, at the true size and with the names and shapes of
the published one. What else is known of a family is in the last column.

`python -m benchmarks.families --write docs/families.md` writes this page ({processor}, {cores}
cores, torch {torch}, at {commit}). Each file was loaded by the server's loader with the network
forbidden and made one step at 64x64 with guidance, from prompt to decoded picture, in a process of
its own. What the UNet and the other networks computed in is said (a server on a CPU takes float32
unless told otherwise). Gigabytes are 10^9 bytes of resident memory, of the libraries' 0.5 to 0.8
too: "held" after loading,
"loading" the most until then, in brackets as a multiple of what is held. Seconds are of one thread
on a machine that was busy with other work.

| checkpoint | stored as, tensors | file, GB | detected | loads offline | one step \
| UNet, others | held, GB | loading, GB | peak, GB | proven besides |
|---|---|---|---|---|---|---|---|---|---|---|
"""

TAIL = """
Safetensors files are read tensor by tensor. When they were mapped, as torch's `.ckpt` files still
are, the mapped pages counted beside the networks made of them until the end of loading: of SD1 in
bfloat16 (2.13 GB) loading took 4.31 GB beyond the libraries then and 2.20 GB now, of the same file
computed in float32 6.44 GB then and 4.50 GB now; as `.ckpt` 4.31 GB, half of it pages that the
system may drop.

Besides, for every family: all names and shapes find their place and none is left over (on torch's
meta device, at full size), and shrunken files in float32, float16, bfloat16 and mixtures load and
make the same picture (`tests/adapters/gpu/torch_backend/test_every_family.py`).

Recognised, and refused by name: SD3, Alt-Diffusion. A depth model or an unCLIP without its depth
estimator or image encoder is refused, naming the tensor; unCLIP-L also needs `ViT-L-14_stats.th`,
which its file lacks, beside it or in `models/karlo`.
"""

_EULER = "shrunken, random: whole pictures equal Euler's method written by hand"
_SEES = "shrunken, random: the picture heeds what its UNet is shown beside the latent"

PROVEN = {
    "SD1": "shrunken: pictures recorded from A1111; and the trained starter checkpoint",
    "SD1 inpainting": _SEES,
    "instruct-pix2pix": _SEES,
    "SD2 base": _EULER,
    "SD2 768-v": f"{_EULER}; the v test at its limit",
    "SD2 inpainting": _SEES,
    "SD2 depth": "shrunken, random: the estimator equals the paper's formulas",
    "SD2 unCLIP-L": "shrunken, random: the encoder equals a ViT of torch's own attention",
    "SD2 unCLIP-H": "shrunken, random: the encoder equals a ViT of torch's own attention",
    "SDXL": _EULER,
    "SDXL inpainting": _SEES,
    "SDXL refiner": f"{_EULER}, taking over from SDXL",
    "SSD-1B": _EULER,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.families", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*PROVEN, []], help="all if none is named")
    parser.add_argument("--stored", choices=DTYPES, default="bfloat16")
    parser.add_argument("--computed", choices=DTYPES, default="bfloat16", help="by the UNet")
    parser.add_argument("--others", choices=DTYPES, default="float32", help="by other networks")
    parser.add_argument("--folder", type=Path, help="for the files, up to 7 GB at a time")
    parser.add_argument("--write", type=Path, help="write the page, docs/families.md, there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        measured = load_and_step(
            given.name[0], given.load, given.stored, given.computed, given.others
        )
        print(json.dumps(asdict(measured)))
        return 0
    console, rows = harness.console(), []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name in given.name or PROVEN:
            row = measure(
                name,
                Path(folder),
                stored=given.stored,
                computed=given.computed,
                others=given.others,
            )
            console.print(
                f"{name}: {row.family}, {row.prediction}; {row.file_bytes / GB:.2f} GB in "
                f"{row.load_seconds:.1f} s, step {row.step_seconds:.1f} s, held "
                f"{row.held / GB:.2f} GB, loading {row.load_peak / GB:.2f} GB "
                f"({row.overhead:.2f}), peak "
                f"{row.peak / GB:.2f} GB"
            )
            rows.append(row)
    if given.write:
        given.write.write_text(page(rows), encoding="utf-8")
    harness.save(given.json, {"families": [asdict(row) for row in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
