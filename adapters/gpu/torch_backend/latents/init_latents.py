"""Encoding img2img's pictures and mask to latents. Source: spec sampling.md 6.5 to 6.7."""

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
    """Encode RGB pictures of any size to latents (B, C, *size), `size` (height, width) in cells.

    A latent of another size is resized. The noise of each is drawn from `generator`, in order, also
    for a picture that is repeated. `retry` and errors as for `encode`.
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
    """A latent (n, C, h, w) resized bilinearly to `size`, (height, width) in cells."""
    return latent if latent.shape[-2:] == size else interpolate(latent, size, mode="bilinear")


def to_floats(picture: Image) -> Tensor:
    """A picture as floats from 0 to 1: (height, width, channels), or (height, width) if grey."""
    return torch.from_numpy(np.array(picture)).float() / 255


def repaint_mask(mask: Image, size: tuple[int, int], *, rounded: bool) -> Tensor:
    """The mask resized to a latent's `size`, (height, width) in cells; 1 where it is repainted.

    `rounded` rounds values to 0 or 1.
    """
    height, width = size
    share = to_floats(mask.resize((width, height)))
    return share.round() if rounded else share
