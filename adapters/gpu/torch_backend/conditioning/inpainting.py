"""Input channels of inpainting UNets (mask, masked picture) and of InstructPix2Pix (picture).

Source: spec images.md 6, sampling.md 6.6.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import interpolate

from hexfusion.adapters.gpu.torch_backend.latents.init_latents import to_floats
from hexfusion.adapters.gpu.torch_backend.latents.vae import Retry, posterior, sample_posterior

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

GREY = 0.5
"""The colour of masked pixels: halfway between black and white."""


def masked_pictures(
    pictures: Sequence[Image], mask: Image | None, *, weight: float, rounded: bool
) -> tuple[list[Tensor], Tensor]:
    """The pictures with the masked part greyed out, and the mask; floats from 0 to 1.

    The pictures are (height, width, 3), the mask (height, width) of its own size; without a `mask`
    everything is masked. `weight` (0 to 1) is how grey masked pixels become; `rounded` rounds the
    mask to 0 or 1.
    """
    if mask is None:
        width, height = pictures[0].size
        share = torch.ones(height, width)
    else:
        share = to_floats(mask)
        share = share.round() if rounded else share
    return [_greyed(to_floats(each), share, weight) for each in pictures], share


def _greyed(picture: Tensor, share: Tensor, weight: float) -> Tensor:
    if share.shape != picture.shape[:2]:
        share = _resized(share, (picture.shape[0], picture.shape[1]))
    return picture + (GREY - picture) * (share.unsqueeze(-1) * weight)


def _resized(share: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(share[None, None], size, mode="nearest")[0, 0]


def inpainting_channels(
    vae: "AutoencoderKL",
    pictures: Sequence[Tensor],
    share: Tensor,
    size: tuple[int, int],
    scale_factor: float,
    generator: torch.Generator,
    *,
    retry: Retry | None,
) -> Tensor:
    """The mask, then the encoded greyed pictures: (B, 5, *size), `size` (height, width) in cells.

    `pictures` and `share` are as from `masked_pictures`. The noise of all encodings is one draw
    from `generator`. Raises as `encode`.
    """
    posteriors = torch.cat([posterior(vae, each, retry=retry) for each in pictures])
    latents = sample_posterior(posteriors, scale_factor, generator)
    if latents.shape[-2:] != size:
        latents = interpolate(latents, size, mode="bilinear")
    cells = _resized(share, size).to(latents)
    return torch.cat([cells.expand(len(latents), 1, *size), latents], dim=1)


def grey_pictures(count: int, height: int, width: int) -> list[Tensor]:
    """`count` grey pictures (height, width, 3), for inpainting UNets in txt2img."""
    return [torch.full((height, width, 3), GREY)] * count


def editing_channels(
    vae: "AutoencoderKL",
    pictures: Sequence[Image],
    size: tuple[int, int],
    *,
    retry: Retry | None,
) -> Tensor:
    """The mean of each picture's encoding, unscaled: (B, 4, *size). Raises as `encode`."""
    posteriors = torch.cat([posterior(vae, to_floats(each), retry=retry) for each in pictures])
    latents = posteriors.float().chunk(2, dim=1)[0]
    return latents if latents.shape[-2:] == size else interpolate(latents, size, mode="bilinear")
