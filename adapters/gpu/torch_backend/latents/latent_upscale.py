"""Enlarging latents, for hires fix. Source: spec sampling.md 6.4, images.md 9.6."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class LatentMode:
    """How torch interpolates."""

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
    """(B, C, h, w) to (B, C, *size), `size` being (height, width) in cells. KeyError: no mode."""
    chosen = MODES[name]
    return interpolate(latents, size=size, mode=chosen.mode, antialias=chosen.antialias)


def crop_latents(latents: Tensor, crop: tuple[int, int]) -> Tensor:
    """Cut `crop` (x, y) cells off: half at each side, an odd one at the far side."""
    x, y = crop
    height, width = latents.shape[-2:]
    return latents[..., y // 2 : height - (y + 1) // 2, x // 2 : width - (x + 1) // 2]
