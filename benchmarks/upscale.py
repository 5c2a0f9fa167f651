"""A photo-like picture through an upscaling network, whole and in tiles: seconds, memory, seams.

python -m benchmarks.upscale [--upscaler NAME] [--data DIR] [--picture FILE] [--size 256]
    [--tile 192 ...] [--overlap 8] [--threads N] [--keep FOLDER] [--json FILE]

Each way runs in a process of its own, so that its memory is its own.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from benchmarks import harness
from hexfusion import bootstrap
from hexfusion.domain.flags import parse_flags
from hexfusion.domain.tiles import even_starts
from hexfusion.domain.upscalers import Tiling, UpscaleSettings

SCALE = 4
#: Largest difference of any channel that passes for none.
BAR = 2
#: How far into a tile, in pixels of the picture, its border may be seen.
REACH = (8, 16, 32, 64)


@dataclass(frozen=True)
class Run:
    """What one way took. Bytes are those beyond the loaded network's process."""

    tile: int
    seconds: float
    peak: int
    picture: bytes
    size: tuple[int, int]


def photo(side: int) -> Image.Image:
    """Hills under a sky, with grain and leaves: slopes, edges and texture, the same every time."""
    draw = np.random.default_rng(5)
    y, x = np.mgrid[0:side, 0:side] / side
    rough = sum(
        np.asarray(
            Image.fromarray(draw.normal(size=(2**n + 1, 2**n + 1)).astype(np.float32)).resize(
                (side, side), Image.Resampling.BICUBIC
            )
        )
        / 2 ** (n / 1.4)
        for n in range(2, 8)
    )
    hill = y > 0.55 + 0.12 * np.sin(5 * x) + 0.02 * rough
    sun = (x - 0.7) ** 2 + (y - 0.25) ** 2 < 0.01
    light = 0.8 + 0.25 * rough
    colours = [
        np.where(hill, base * light, sky - 0.3 * y + 0.04 * rough)
        for base, sky in ((0.35, 0.55), (0.5, 0.75), (0.2, 1.0))
    ]
    pixels = np.stack(colours, -1)
    pixels[sun] = (1.0, 0.9, 0.6)
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


def enlarge(data: str, name: str, picture: bytes, side: int, tile: int, overlap: int) -> Run:
    """In a process of its own: load the network on a small piece, then take the time."""
    flags = parse_flags(
        ["--data-dir", data, "--no-download-sd-model", "--threads", os.environ["OMP_NUM_THREADS"]],
        {},
        absolute=os.path.abspath,
    )
    upscaler = bootstrap.assemble(flags).upscaler()
    tiling = Tiling(tile, overlap)
    settings = UpscaleSettings(esrgan=tiling, dat=tiling, swinir=tiling, scunet=tiling)
    image = Image.frombytes("RGB", (side, side), picture)
    upscaler.upscale(image.crop((0, 0, 8, 8)), 4, name, UpscaleSettings(esrgan=Tiling(0, 0)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    larger = upscaler.upscale(image, SCALE, name, settings)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Run(tile, seconds, peak * 1024, larger.tobytes(), larger.size)


def seams(side: int, tile: int, overlap: int, reach: int) -> np.ndarray:
    """Pixels (side, side) where a tile shows what it made less than `reach` from its border."""
    line = np.zeros(side, bool)
    for start in even_starts(side, tile, overlap)[1:]:
        line[start : start + reach] = True
    return line[:, None] | line[None, :]


def off(whole: Run, tiled: Run) -> np.ndarray:
    """The largest difference of any channel, by pixel."""
    pair = (np.frombuffer(run.picture, np.uint8).astype(int) for run in (whole, tiled))
    first, second = (each.reshape(*whole.size[::-1], 3) for each in pair)
    return np.abs(first - second).max(-1)


def worst(whole: Run, tiled: Run, overlap: int, reach: int) -> int:
    """The largest difference farther than `reach` from tiles' borders."""
    near = seams(whole.size[0] // SCALE, tiled.tile, overlap, reach)
    far = ~near.repeat(SCALE, 0).repeat(SCALE, 1)
    return int(off(whole, tiled)[far].max())


def table(whole: Run, runs: Sequence[Run], overlap: int) -> Table:
    shown = Table(title=f"{whole.size[0] // SCALE} to {whole.size[0]} pixels a side")
    far = (f"off by, {reach} px in" for reach in REACH)
    for column in ("tile", "seconds", "memory", f"within {BAR}", *far):
        shown.add_column(column, justify="right")
    for run in runs:
        compared = []
        if run.tile:
            compared = [f"{(off(whole, run) <= BAR).mean():.2%}"]
            compared += [str(worst(whole, run, overlap, reach)) for reach in REACH]
        name = str(run.tile) if run.tile else "whole"
        shown.add_row(name, f"{run.seconds:.1f}", f"{run.peak / 2**20:.0f} MiB", *compared)
    return shown


def figures(whole: Run, run: Run, overlap: int) -> Mapping[str, object]:
    told = {key: value for key, value in asdict(run).items() if key != "picture"}
    if run.tile:
        told["within"] = float((off(whole, run) <= BAR).mean())
        told["off_by"] = {reach: worst(whole, run, overlap, reach) for reach in REACH}
    return told


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upscaler", default="R-ESRGAN 4x+", help="one that enlarges by 4")
    parser.add_argument("--data", type=Path, help="data directory with models/; else a new one")
    parser.add_argument("--picture", type=Path, help="its middle is taken; else one is drawn")
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--tile", type=int, nargs="*", default=[192])
    parser.add_argument("--overlap", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    picture = photo(given.size)
    if given.picture:
        with Image.open(given.picture) as image:
            left, top = ((each - given.size) // 2 for each in image.size)
            box = (left, top, left + given.size, top + given.size)
            picture = image.convert("RGB").crop(box)
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool,
    ):
        data = str(given.data or scratch)
        work = (data, given.upscaler, picture.tobytes(), given.size)
        runs = [
            pool.submit(enlarge, *work, tile, given.overlap).result() for tile in (0, *given.tile)
        ]
    whole, *tiled = runs
    harness.console().print(table(whole, runs, given.overlap))
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        picture.save(given.keep / "before.png")
        for run in runs:
            made = Image.frombytes("RGB", run.size, run.picture)
            made.save(given.keep / f"{run.tile or 'whole'}.png")
    told = [figures(whole, run, given.overlap) for run in runs]
    harness.save(given.json, {"upscaler": given.upscaler, "runs": told})
    held = all(worst(whole, run, given.overlap, REACH[-1]) <= BAR for run in tiled)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
