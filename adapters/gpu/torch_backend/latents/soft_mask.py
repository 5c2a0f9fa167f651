"""Soft inpainting on latents. Source: spec images.md 8."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from hexfusion.domain.scripts.soft_inpainting import SoftInpainting

REACH = 2
"""Cells to each side that a filtered cell looks at."""

SIGMA = 1.5
ALMOST_ONE = 1.00001


@dataclass(frozen=True, eq=False)
class SoftMask:
    """A `Mask` that lets the old picture shine through, ever less while noise goes.

    `repaint` is (h, w), from 0 to 1; `init` the clean latent (B, C, h, w).
    """

    init: Tensor
    repaint: Tensor
    settings: SoftInpainting

    def blend(self, x: Tensor, level: Tensor) -> Tensor:
        """See `Mask.blend`."""
        exponent = float(level) ** self.settings.power * self.settings.scale
        return mixed(self.init, x, self.repaint**exponent, self.settings.detail)

    def finish(self, x: Tensor) -> Tensor:
        """See `Mask.finish`. What is kept is decided on the pictures."""
        return x


def mixed(old: Tensor, new: Tensor, share: Tensor, detail: float) -> Tensor:
    """Latents (B, C, h, w) mixed by the share (h, w) of the new one.

    A mix of unlike vectors is shorter than either, and its picture dull: so it gets a length
    between theirs, the nearer to the longer the higher `detail` is.
    """
    mix = old * (1 - share) + new * share
    lengths = [each.double().norm(dim=1, keepdim=True) for each in (mix, old, new)]
    have, first, second = lengths[0] + 1e-5, lengths[1], lengths[2]
    wanted = (first**detail * (1 - share) + second**detail * share) ** (1 / detail)
    return (mix * (wanted / have)).to(mix.dtype)


def changed_masks(
    init: Tensor, final: Tensor, repaint: Tensor, settings: SoftInpainting
) -> list[Image.Image]:
    """Where each picture changed: "L" of the latent's size, white where it did.

    `init` and `final` are (B, C, h, w), `repaint` is (h, w).
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
    """Each cell (h, w) becomes the mean of the cells around it that rank between two shares.

    Cells count by how near they are. A share of 0 is the smallest, 1 the largest; at least one
    cell's worth is taken.
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
    """At least 1 wide, and inside 0 and the total if it can be."""
    narrow = last - first < 1
    middle = (first + last) / 2
    start = np.where(narrow, middle - 0.5, first)
    end = np.where(narrow, middle + 0.5, last)
    over = np.where(narrow, np.clip(end - total, 0, None), 0)
    start, end = start - over, end - over
    below = narrow & (start < 0)
    return np.where(below, 0, start), np.where(below, 1, end)


def _neighbourhood() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Weights, and where from the padded corner each neighbour begins."""
    sides = range(2 * REACH + 1)
    offsets = [(y, x) for y in sides for x in sides]
    squares = np.array([(y - REACH) ** 2 + (x - REACH) ** 2 for y, x in offsets])
    edge = np.exp(-((REACH + 1) ** 2) / SIGMA**2)
    return np.maximum(0, (np.exp(-squares / SIGMA**2) - edge) / (1 - edge)), offsets
