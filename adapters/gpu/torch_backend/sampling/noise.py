"""Per-image noise: a picture's numbers depend on its seed alone, never on its neighbours.

Source: spec sampling.md 1. Every stream is an object of its own; torch's global generator is never
touched, so any number of threads may draw at once.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hexfusion.domain.sampling.options import RandnSource

Shape = tuple[int, ...]
Stream = Callable[[Shape], Tensor]
"""From a shape to the next standard normal numbers of a stream: float32, on its device."""

CPU = torch.device("cpu")
LATENT_SCALE = 8
"""Pixels per latent side."""

NEARLY_PARALLEL = 0.9995


def open_stream(source: RandnSource, seed: int, device: torch.device = CPU) -> Stream:
    """A new stream of normal numbers for `seed`.

    "GPU" draws on `device`, "CPU" on the CPU, "NV" emulates an NVIDIA card's generator anywhere.
    Seeds count modulo 2^64, which a seed and option eta_noise_seed_delta together may exceed; the
    CPU's generator uses the lower 32 bits of that.
    """
    seed = int(seed) % 2**64
    if source == "NV":
        philox = PhiloxStream(seed)
        return lambda shape: torch.from_numpy(philox.randn(shape)).to(device)
    # MPS numbers differ between machines, so A1111 draws on the CPU there.
    home = CPU if source == "CPU" or device.type == "mps" else device
    generator = torch.Generator(home).manual_seed(seed)
    return lambda shape: torch.randn(shape, generator=generator, device=home).to(device)


class ImageNoise:
    """The noise source of one batch; each call is the next draw, (B, C, H, W) float32.

    `shape` is (C, H, W) in latents. The first draw carries the variations: `subseeds` blended in
    by `subseed_strength`, and the noise of another picture size, `resize_from` = (height, width) in
    pixels, pasted in the middle. With `ensd` the draws after the first come from seed + ensd.
    """

    def __init__(
        self,
        shape: Shape,
        seeds: Sequence[int],
        *,
        source: RandnSource = "GPU",
        device: torch.device = CPU,
        subseeds: Sequence[int] = (),
        subseed_strength: float = 0.0,
        resize_from: tuple[int, int] | None = None,
        ensd: int = 0,
    ) -> None:
        self.shape = shape
        self.seeds = tuple(seeds)
        self.source = source
        self.device = device
        self._subseeds = tuple(subseeds)
        self._strength = subseed_strength
        self._small = _resized_shape(shape, resize_from)
        self._ensd = ensd
        self._streams = [self._open(seed) for seed in self.seeds]
        self._first = True

    def __call__(self) -> Tensor:
        if not self._first:
            return torch.stack([stream(self.shape) for stream in self._streams])
        self._first = False
        noise = torch.stack([self._first_draw(index) for index in range(len(self.seeds))])
        if self._ensd:
            self._streams = [self._open(seed + self._ensd) for seed in self.seeds]
        return noise

    def global_generator(self) -> torch.Generator:
        """A CPU generator in the state A1111's global one has after the first draw.

        It is seeded with the last image's seed. What A1111 draws globally (such as a
        VAE's posterior) is drawn from here. With source "NV" A1111 leaves its global generator
        unseeded, which no one can reproduce; we seed it all the same.
        """
        return torch.Generator().manual_seed(int(self.seeds[-1]))

    def _open(self, seed: int) -> Stream:
        return open_stream(self.source, seed, self.device)

    def _first_draw(self, index: int) -> Tensor:
        own, same_size = self._streams[index], self._small == self.shape
        # A fresh stream of the same seed gives what A1111 takes from its reseeded global one.
        noise = (own if same_size else self._open(self.seeds[index]))(self._small)
        if self._subseeds and self._strength:
            subseed = self._subseeds[index] if index < len(self._subseeds) else 0
            noise = slerp(self._strength, noise, self._open(subseed)(self._small))
        return noise if same_size else paste_centred(noise, own(self.shape))


def _resized_shape(shape: Shape, resize_from: tuple[int, int] | None) -> Shape:
    if resize_from is None or min(resize_from) <= 0:
        return shape
    height, width = resize_from
    return shape[0], int(height) // LATENT_SCALE, int(width) // LATENT_SCALE


def slerp(share: float, low: Tensor, high: Tensor) -> Tensor:
    """Blend two noises (C, H, W) along the sphere, column by column (spec sampling.md 1.5).

    A1111 normalises along the height axis, and its fallback for nearly parallel noises has the
    weights the other way round; pictures people have saved depend on both.
    """
    low_unit = low / low.norm(dim=1, keepdim=True)
    high_unit = high / high.norm(dim=1, keepdim=True)
    cosine = (low_unit * high_unit).sum(1)
    if cosine.mean() > NEARLY_PARALLEL:
        return low * share + high * (1 - share)
    angle = cosine.acos()
    sine = angle.sin()
    low_weight = (((1.0 - share) * angle).sin() / sine).unsqueeze(1)
    high_weight = ((share * angle).sin() / sine).unsqueeze(1)
    return low_weight * low + high_weight * high


def paste_centred(noise: Tensor, onto: Tensor) -> Tensor:
    """`onto` (C, H, W) with `noise` (C, h, w) in its middle, cropped where it is larger.

    Offsets are floor divisions, also of negative differences (spec sampling.md 1.3).
    """
    dy, height = _centre(noise.shape[1], onto.shape[1])
    dx, width = _centre(noise.shape[2], onto.shape[2])
    ty, tx, sy, sx = max(dy, 0), max(dx, 0), max(-dy, 0), max(-dx, 0)
    onto[:, ty : ty + height, tx : tx + width] = noise[:, sy : sy + height, sx : sx + width]
    return onto


def _centre(small: int, large: int) -> tuple[int, int]:
    offset = (large - small) // 2
    return offset, small if offset >= 0 else small + 2 * offset


PHILOX_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)
PHILOX_ROUNDS = 10
MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)

UNIT = np.float32(2.0**-32)
TURN = np.float32(2.3283064e-10 * 6.2831855)
"""2 pi / 2^32, as single precision has it."""


class PhiloxStream:
    """The normal numbers of `torch.randn` on an NVIDIA card (spec sampling.md 1.2)."""

    def __init__(self, seed: int) -> None:
        self._key = (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
        self._draws = 0

    def randn(self, shape: Shape) -> np.ndarray:
        """The next draw, float32. A draw is a unit: its size does not move the next one."""
        count = int(np.prod(shape))
        counter = np.zeros((4, count), np.uint64)
        counter[0] = self._draws
        counter[2] = np.arange(count)
        self._draws += 1
        words = philox4x32(counter, self._key)
        return box_muller(words[0], words[1]).reshape(shape)


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox4x32-10 (Salmon et al. 2011) of (4, n) 32-bit words, held in uint64; likewise out."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(PHILOX_ROUNDS):
        p0, p1 = PHILOX_MULTIPLIERS[0] * c0, PHILOX_MULTIPLIERS[1] * c2
        c0, c1 = (p1 >> HALF) ^ c1 ^ np.uint64(k0), p1 & MASK
        c2, c3 = (p0 >> HALF) ^ c3 ^ np.uint64(k1), p0 & MASK
        k0, k1 = (k0 + PHILOX_WEYL[0]) & 0xFFFFFFFF, (k1 + PHILOX_WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def box_muller(radius_word: np.ndarray, angle_word: np.ndarray) -> np.ndarray:
    """One normal number (the sine one) of two 32-bit words; double inside, float32 out."""
    u = radius_word * np.float64(UNIT) + np.float64(UNIT / 2)
    v = angle_word * np.float64(TURN) + np.float64(TURN / 2)
    return (np.sqrt(-2.0 * np.log(u)) * np.sin(v)).astype(np.float32)
