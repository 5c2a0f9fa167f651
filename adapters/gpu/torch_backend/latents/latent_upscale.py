"""Upscaling latents, for hires fix. Source: spec sampling.md 6.4, images.md 9.6."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class LatentMode:
    """Arguments of torch's `interpolate`."""

    mode: str
    antialias: bool = False


MODES = {
    "Latent": LatentMode("bilinear"),
    "Latent (antialiased)": LatentMode("bilinear", antialias=True),
    "Latent (bicubic)": LatentMode("bicubic"),
    "Latent (bicubic antialiased)": LatentMode("bicubic", antialias=True),
    "Latent (nearest)": LatentMode("nearest"),
    "Latent (nearest-exact)": LatentMode("nearest-exact"),
}


def upscale_latents(latents: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """Resize latents (B, C, h, w) to (B, C, *size), `size` (height, width) in cells.

    Raises KeyError for a `name` that is not in `MODES`.
    """
    chosen = MODES[name]
    return interpolate(latents, size=size, mode=chosen.mode, antialias=chosen.antialias)


def crop_latents(latents: Tensor, crop: tuple[int, int]) -> Tensor:
    """Crop `crop` = (x, y) cells: half at each side, an odd one at the right or bottom."""
    x, y = crop
    height, width = latents.shape[-2:]
    return latents[..., y // 2 : height - (y + 1) // 2, x // 2 : width - (x + 1) // 2]
