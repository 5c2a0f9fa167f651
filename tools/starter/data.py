"""Precomputed training pictures: latents and what they show, rendered once by several processes."""

from multiprocessing import Pool
from pathlib import Path

import numpy as np

from .latents import encode
from .world import Picture, picture_number, render

CHUNK = 250


def _chunk(job: tuple[int, int, int]) -> np.ndarray:
    first, side, seed = job
    pairs = [picture_number(index, seed) for index in range(first, first + CHUNK)]
    images = np.stack([np.asarray(render(picture, side, rng)) for picture, rng in pairs])
    return encode(images).astype(np.float16)


def build(side: int, count: int, seed: int, workers: int) -> np.ndarray:
    """float16 [count, 4, side/8, side/8]: latents of the first `count` pictures of a stream."""
    jobs = [(first, side, seed) for first in range(0, count, CHUNK)]
    with Pool(workers) as pool:
        return np.concatenate(pool.map(_chunk, jobs, chunksize=1))


def load_or_build(
    folder: Path, side: int, count: int, workers: int = 2
) -> tuple[np.ndarray, list[Picture]]:
    """Latents, kept in `folder` as `latents-SIDE-COUNT.npy`, and the pictures they show."""
    path = folder / f"latents-{side}-{count}.npy"
    if path.exists():
        latents = np.load(path)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        latents = build(side, count, side, workers)
        part = path.with_suffix(".part.npy")
        np.save(part, latents)
        part.replace(path)
    return latents, [picture_number(index, side)[0] for index in range(count)]
