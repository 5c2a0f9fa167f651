"""Precomputed training pictures: latents and what they show, rendered once by several processes."""

import pickle
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from .latents import encode
from .world import picture_number, render

CHUNK = 250


def _chunk(job: tuple[int, int, int]):
    first, side, seed = job
    pairs = [picture_number(index, seed) for index in range(first, first + CHUNK)]
    images = np.stack([np.asarray(render(picture, side, rng)) for picture, rng in pairs])
    return encode(images).astype(np.float16), [picture for picture, _ in pairs]


def build(side: int, count: int, seed: int, workers: int):
    """(latents float16 [count, 4, side/8, side/8], pictures) of stream `seed`."""
    jobs = [(first, side, seed) for first in range(0, count, CHUNK)]
    with Pool(workers) as pool:
        parts = pool.map(_chunk, jobs, chunksize=1)
    return np.concatenate([p[0] for p in parts]), [x for p in parts for x in p[1]]


def load_or_build(folder: Path, side: int, count: int, workers: int = 2):
    """`build`, kept in `folder` as `pictures-SIDE-COUNT.pkl`."""
    path = folder / f"pictures-{side}-{count}.pkl"
    if path.exists():
        return pickle.loads(path.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    made = build(side, count, side, workers)
    path.write_bytes(pickle.dumps(made, protocol=4))
    return made
