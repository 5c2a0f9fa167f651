"""Training batches: noised latents, captions as embedding rows, and the noise to predict."""

from dataclasses import dataclass

import numpy as np
import torch

from .captions import FILLERS, caption
from .schedule import alphas_cumprod, low_timesteps, sample_timesteps
from .tokens import pad_rows, row_ids

OTHER_ROW = 0
#: Share of foreign captions below FOREIGN_UNTIL in a polishing run; fades out over FADE timesteps.
FOREIGN, FOREIGN_UNTIL, FADE = 0.6, 350, 200


@dataclass
class Batch:
    """`x` [n, 4, h, w] noised, `t` [n], `rows` [n, 77], `target` eps like x, `snr` [n]."""

    x: torch.Tensor
    t: torch.Tensor
    rows: torch.Tensor
    target: torch.Tensor
    snr: torch.Tensor


def caption_rows(pictures, rng) -> torch.Tensor:
    """int64 [n, 77]: a fresh caption each; some filler words become the "other word" row."""
    fillers = {row for text in FILLERS for row in row_ids(text)}
    out = []
    for picture in pictures:
        ids = row_ids(caption(picture, rng))
        ids = [OTHER_ROW if i in fillers and rng.random() < 0.15 else i for i in ids]
        if ids and rng.random() < 0.05:
            extra = [OTHER_ROW] * int(rng.integers(1, 4))
            ids = ids + extra if rng.random() < 0.5 else extra + ids
        out.append(pad_rows(ids))
    return torch.from_numpy(np.stack(out))


def foreign(t: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """bool [n]: whose captions shall be another picture's, for timesteps `t` [n].

    Where little noise lies on it, a picture speaks for itself. A net that has met captions that are
    wrong there believes the picture, so that img2img at low strength keeps what stands in it,
    whatever the prompt; with right ones alone it learns to read shapes off the caption.
    """
    share = FOREIGN * (1 - (t - FOREIGN_UNTIL) / FADE).clamp(0, 1)
    return torch.rand(len(t), generator=generator) < share


def noised(x0: torch.Tensor, generator: torch.Generator, polish: bool = False):
    """(x, t, target, snr) for latents x0 [n, 4, h, w].

    Noise is sometimes offset per channel, and sometimes part of the signal is withheld at high
    noise while the target still points at x0: both teach the net to take the layout from the
    caption, since sampling starts from noise that holds no trace of a picture.
    """
    n, side = x0.shape[0], x0.shape[-1]
    t = (low_timesteps if polish else sample_timesteps)(n, side, generator)
    ac = alphas_cumprod()[t]
    a, s = (v.sqrt().view(n, 1, 1, 1) for v in (ac, 1 - ac))

    def chance(p):
        return torch.rand(n, 1, 1, 1, generator=generator) < p

    noise = torch.randn(x0.shape, generator=generator)
    offset = torch.randn(n, 4, 1, 1, generator=generator) * 0.1
    noise = noise + torch.where(chance(0.3), offset, torch.zeros(()))
    withhold = chance(0.3) & (t > 600).view(n, 1, 1, 1)
    kept = torch.where(withhold, torch.rand(n, 1, 1, 1, generator=generator), torch.ones(()))
    x = a * kept * x0 + s * noise
    return x, t, (x - a * x0) / s, ac / (1 - ac)


def draw_batch(store, count: int, rng, generator: torch.Generator, polish: bool = False) -> Batch:
    """A random batch from `store` = (latents float16 [N, 4, h, w], pictures).

    With `polish` mostly of little noise, and there often with captions of other pictures.
    """
    latents, pictures = store
    picks = rng.integers(len(pictures), size=count)
    x0 = torch.from_numpy(latents[picks].astype(np.float32))
    x, t, target, snr = noised(x0, generator, polish)
    if polish:
        others = rng.integers(len(pictures), size=count)
        picks = np.where(foreign(t, generator).numpy(), others, picks)
    rows = caption_rows([pictures[k] for k in picks], rng)
    return Batch(x, t, rows, target, snr)
