"""Fills the masked part of a picture with noise of the same spectrum (outpainting mk2).

The histogram of each channel is matched to the picture as well. Source: spec scripts.md 10.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

ALIKE = 1e-6, 1e-3
"""Mask values above the first are noise to be matched, values below the second are picture."""


def matched_noise(
    picture: Image.Image, mask: Image.Image, falloff: float, variation: float
) -> Image.Image:
    """The picture (RGB) with noise where the mask (RGB, of the same size) is white.

    `falloff` is the exponent of the picture's spectrum: lower gives more detail. `variation`, 0 to
    1, is the saturation of the noise. The result is deterministic.

    A frequency with amplitude 0 in the picture gets no noise; A1111 divides by the amplitude, and
    yields NaN for the whole picture.
    """
    image, share = (np.asarray(each, dtype=np.float64) / 255 for each in (picture, mask))
    grey = share.sum(axis=2) / 3
    kept = image * (1 - grey[..., None])
    kept = kept / (kept.max() or 1.0) + image.mean() * share
    spectrum = _fft(kept)
    strength = np.abs(spectrum)
    phase = np.divide(spectrum, strength, out=np.zeros_like(spectrum), where=strength > 0)
    shape = _fft(_soft_noise(image.shape, variation))
    noise = np.real(_back(np.abs(shape) ** 2 * strength**falloff * phase))
    noise -= noise.min()
    noise /= noise.max() or 1.0
    anew, seen = grey > ALIKE[0], grey < ALIKE[1]
    if anew.any() and seen.any():
        for channel in range(3):
            noise[anew, channel] = _matched(noise[anew, channel], image[seen, channel])
    result = np.clip(image * (1 - share) + noise * share, 0, 1)
    return Image.fromarray(np.clip(result * 255, 0, 255).astype(np.uint8))


def _soft_noise(shape: tuple[int, ...], variation: float) -> Floats:
    """Uniform noise of the given shape, partly desaturated, low-pass filtered."""
    noise = np.random.default_rng(0).random(shape)
    grey = noise.sum(axis=2) / 3
    noise = noise * variation + (1 - variation) * grey[..., None]
    rows, columns = shape[:2]
    x, y = (_axis(length, min(rows, columns)) for length in (rows, columns))
    window = 1 / ((x**2 + 1)[:, None] * (y**2 + 1)[None, :])
    return np.real(_back(_fft(noise) * window[..., None]))


def _axis(length: int, shorter: int) -> Floats:
    return (np.arange(length) / length * 2 - 1) * (length / shorter)


def _fft(values: Floats) -> NDArray[Any]:
    """Orthonormal FFT of each channel, with frequency 0 in the middle."""
    shifted = np.fft.fftshift(values, axes=(0, 1))
    return np.fft.ifftshift(np.fft.fft2(shifted, axes=(0, 1), norm="ortho"), axes=(0, 1))


def _back(values: NDArray[Any]) -> NDArray[Any]:
    shifted = np.fft.fftshift(values, axes=(0, 1))
    return np.fft.ifftshift(np.fft.ifft2(shifted, axes=(0, 1), norm="ortho"), axes=(0, 1))


def _matched(values: Floats, like: Floats) -> Floats:
    """Histogram matching: the values mapped to those at the same quantile of `like`."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    others, other_counts = np.unique(like, return_counts=True)
    heights = np.cumsum(counts) / values.size
    mapped: Floats = np.interp(heights, np.cumsum(other_counts) / like.size, others)
    return mapped[places]
