"""Soft inpainting: blending old and new latents while sampling. Source: spec images.md 8."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from hexfusion.domain.scripts.soft_inpainting import SoftInpainting

REACH = 2
"""Radius of the filter, in cells."""

SIGMA = 1.5
ALMOST_ONE = 1.00001


@dataclass(frozen=True, eq=False)
class SoftMask:
    """A `Mask` that blends the old picture in by a share that depends on the noise level.

    `repaint` is (h, w), from 0 to 1, 1 where the picture is repainted; `init` is the old picture's
    clean latent (B, C, h, w).
    """

    init: Tensor
    repaint: Tensor
    settings: SoftInpainting

    def blend(self, x: Tensor, level: Tensor) -> Tensor:
        """See `Mask.blend`."""
        exponent = float(level) ** self.settings.power * self.settings.scale
        return mixed(self.init, x, self.repaint**exponent, self.settings.detail)

    def finish(self, x: Tensor) -> Tensor:
        """See `Mask.finish`. Leaves `x` unchanged: the pictures are blended instead."""
        return x


def mixed(old: Tensor, new: Tensor, share: Tensor, detail: float) -> Tensor:
    """Mix latents (B, C, h, w) by the `share` (h, w) of the new one, preserving contrast.

    A mix of different vectors is shorter than both, which makes the picture dull. So each is scaled
    to a length between theirs, nearer to the longer one the higher `detail` is.
    """
    mix = old * (1 - share) + new * share
    lengths = [each.double().norm(dim=1, keepdim=True) for each in (mix, old, new)]
    have, first, second = lengths[0] + 1e-5, lengths[1], lengths[2]
    wanted = (first**detail * (1 - share) + second**detail * share) ** (1 / detail)
    return (mix * (wanted / have)).to(mix.dtype)


def changed_masks(
    init: Tensor, final: Tensor, repaint: Tensor, settings: SoftInpainting
) -> list[Image.Image]:
    """Masks of where each picture changed: mode "L", of the latent's size, white where it did.

    `init` and `final` are latents (B, C, h, w), `repaint` is (h, w).
    """
    keep = 1 - repaint.clamp(0, 1) ** (settings.scale / 2)
    keep = 0.5 * (1 - settings.mask_influence) + keep * settings.mask_influence
    half = settings.threshold * (keep / (ALMOST_ONE - keep))
    changes = (final - init).float().norm(dim=1)
    return [_changed(change, half, settings.contrast) for change in changes]


def _changed(change: Tensor, half: Tensor, contrast: float) -> Image.Image:
    values = change.cpu().numpy().astype(np.float64)
    values = ranked_mean(ranked_mean(values, 0.9, 1.0), 0.25, 0.75)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = 1 / (1 + np.nan_to_num(values / half.cpu().numpy()) ** contrast)
    kept = kept**3 * (kept * (6 * kept - 15) + 10)
    return Image.fromarray((255 * (1 - kept)).clip(0, 255).astype(np.uint8))


def ranked_mean(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A filter: each cell (h, w) becomes the mean of its neighbours between two quantiles.

    `low` and `high` are the quantiles, 0 to 1, weighted by distance. The mean is over at least the
    weight of one cell.
    """
    weights, offsets = _neighbourhood()
    height, width = values.shape
    padded = np.pad(values, REACH)
    present = np.pad(np.ones_like(values), REACH)
    near = [(slice(y, y + height), slice(x, x + width)) for y, x in offsets]
    found = np.stack([padded[each] for each in near], axis=-1)
    counts = np.stack([present[each] for each in near], axis=-1) * weights
    order = np.argsort(found, axis=-1, kind="stable")
    found = np.take_along_axis(found, order, axis=-1)
    ends = np.cumsum(np.take_along_axis(counts, order, axis=-1), axis=-1)
    total = ends[..., -1:]
    first, last = _window(low * total, high * total, total)
    starts = np.concatenate([np.zeros_like(total), ends[..., :-1]], axis=-1)
    within = np.clip(np.minimum(ends, last) - np.maximum(starts, first), 0, None)
    return (found * within).sum(-1) / within.sum(-1)


def _window(
    first: np.ndarray, last: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The interval widened to at least 1, and moved inside 0 and `total` where possible."""
    narrow = last - first < 1
    middle = (first + last) / 2
    start = np.where(narrow, middle - 0.5, first)
    end = np.where(narrow, middle + 0.5, last)
    over = np.where(narrow, np.clip(end - total, 0, None), 0)
    start, end = start - over, end - over
    below = narrow & (start < 0)
    return np.where(below, 0, start), np.where(below, 1, end)


def _neighbourhood() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Weights of the neighbours, and their offsets (y, x) from the padded array's corner."""
    sides = range(2 * REACH + 1)
    offsets = [(y, x) for y in sides for x in sides]
    squares = np.array([(y - REACH) ** 2 + (x - REACH) ** 2 for y, x in offsets])
    edge = np.exp(-((REACH + 1) ** 2) / SIGMA**2)
    return np.maximum(0, (np.exp(-squares / SIGMA**2) - edge) / (1 - edge)), offsets
