"""What some UNets see beside the latent: a mask and what it leaves, or a picture to be edited.

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
"""What a masked pixel becomes: the middle between black and white."""


def masked_pictures(
    pictures: Sequence[Image], mask: Image | None, *, weight: float, rounded: bool
) -> tuple[list[Tensor], Tensor]:
    """Pictures (height, width, 3) from 0 to 1 with the masked part greyed out, and the mask.

    Without a mask all is masked. `weight` is how grey it becomes; `rounded` masks a pixel wholly or
    not at all. The mask is (height, width), of its own size.
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


def beside_inpainting(
    vae: "AutoencoderKL",
    pictures: Sequence[Tensor],
    share: Tensor,
    size: tuple[int, int],
    scale_factor: float,
    generator: torch.Generator,
    *,
    retry: Retry | None,
) -> Tensor:
    """(B, 5, *size), `size` being (height, width) in cells: the mask, then the greyed pictures
    encoded. All of them draw at once from `generator`. Errors as `encode`."""
    told = torch.cat([posterior(vae, each, retry=retry) for each in pictures])
    latents = sample_posterior(told, scale_factor, generator)
    if latents.shape[-2:] != size:
        latents = interpolate(latents, size, mode="bilinear")
    cells = _resized(share, size).to(latents)
    return torch.cat([cells.expand(len(latents), 1, *size), latents], dim=1)


def grey_pictures(count: int, height: int, width: int) -> list[Tensor]:
    """What a UNet that inpaints is shown where there is no picture; sides in pixels."""
    return [torch.full((height, width, 3), GREY)] * count


def beside_editing(
    vae: "AutoencoderKL",
    pictures: Sequence[Image],
    size: tuple[int, int],
    *,
    retry: Retry | None,
) -> Tensor:
    """(B, 4, *size): the likeliest latent of each picture, not scaled. Errors as `encode`."""
    told = torch.cat([posterior(vae, to_floats(each), retry=retry) for each in pictures])
    latents = told.float().chunk(2, dim=1)[0]
    return latents if latents.shape[-2:] == size else interpolate(latents, size, mode="bilinear")
