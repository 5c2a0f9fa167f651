"""What img2img starts from: pictures and a mask as latents. Source: spec sampling.md 6.5 to 6.7."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import interpolate

from hexfusion.adapters.gpu.torch_backend.latents.vae import Retry, posterior, sample_posterior

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


def encode_pictures(
    vae: "AutoencoderKL",
    pictures: Sequence[Image],
    size: tuple[int, int],
    scale_factor: float,
    generator: torch.Generator,
    *,
    retry: Retry | None,
) -> Tensor:
    """RGB pictures of any sizes to latents (B, C, *size), `size` being (height, width) in cells.

    A latent of another size is stretched. Each draws its own noise from `generator`, in order, also
    where the same picture comes again. Errors as `encode`.
    """
    posteriors: dict[int, Tensor] = {}
    latents: list[Tensor] = []
    for picture in pictures:
        if id(picture) not in posteriors:
            posteriors[id(picture)] = posterior(vae, to_floats(picture), retry=retry)
        latent = sample_posterior(posteriors[id(picture)], scale_factor, generator)
        latents.append(stretch_latent(latent, size))
    return torch.cat(latents)


def stretch_latent(latent: Tensor, size: tuple[int, int]) -> Tensor:
    """A latent (n, C, h, w) stretched to that (height, width) in cells, if it has another."""
    return latent if latent.shape[-2:] == size else interpolate(latent, size, mode="bilinear")


def to_floats(picture: Image) -> Tensor:
    """A picture as (height, width, channels) or, of greys, (height, width); from 0 to 1."""
    return torch.from_numpy(np.array(picture)).float() / 255


def repaint_mask(mask: Image, size: tuple[int, int], *, rounded: bool) -> Tensor:
    """Which cells of a latent of that (height, width) are painted anew: (*size), 1 where they are.

    `rounded` leaves nothing between 0 and 1.
    """
    height, width = size
    share = to_floats(mask.resize((width, height)))
    return share.round() if rounded else share
