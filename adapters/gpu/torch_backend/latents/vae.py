"""Encoding and decoding by the VAE, and the linear approximation of its decoder for previews.

Source: spec sampling.md 6.7 and 6.8, images.md 14, networks.md 1.6.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from hexfusion.domain.errors import NotANumber

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

RgbRows = tuple[tuple[float, float, float], ...]

Retry = Callable[["AutoencoderKL"], "AutoencoderKL"]
"""From a VAE that produced NaN to the one to retry with: a copy in another dtype, or the same VAE
if it has that dtype already. It does not modify the VAE."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatentRgb:
    """A linear map from latents to approximate colours.

    `factors` has a row per latent channel with columns red, green and blue; `bias` is added.
    Colours are from -1 to 1.
    """

    factors: RgbRows
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


@torch.inference_mode()
def decode(
    vae: "AutoencoderKL",
    latents: Tensor,
    scale_factor: float,
    *,
    retry: Retry | None = None,
) -> Tensor:
    """Decode (n, channels, h, w) latents to (n, 8h, 8w, 3) uint8 on the CPU.

    One picture at a time, so that a picture does not depend on its batch. One with a NaN is decoded
    again by the VAE that `retry` gives. Raises `NotANumber` if the latents have a NaN, or the
    picture still has one. The tweaks of `computing` apply.
    """
    refuse_nan(latents)
    pictures = [_decode_one(vae, latent, scale_factor, retry) for latent in latents]
    return torch.stack(pictures)


def refuse_nan(latents: Tensor) -> None:
    """Raises `NotANumber` if the latents have a NaN."""
    if bool(latents.isnan().any()):
        raise NotANumber("the UNet produced NaN: try it in float32 (--no-half)")


@torch.inference_mode()
def encode(
    vae: "AutoencoderKL",
    images: Tensor,
    scale_factor: float,
    generator: torch.Generator,
    *,
    retry: Retry | None = None,
) -> Tensor:
    """Encode (n, 8h, 8w, 3) pictures, uint8 or floats from 0 to 1, to (n, channels, h, w) float32.

    The encoder's output is a distribution, which is sampled with `generator` (on the CPU). Pictures
    are encoded and sampled one at a time, in order. The latents are on the VAE's device. `retry`,
    tweaks and errors as for `decode`.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    moments = [posterior(vae, picture, retry=retry) for picture in images]
    return torch.cat([sample_posterior(each, scale_factor, generator) for each in moments])


@torch.inference_mode()
def posterior(vae: "AutoencoderKL", picture: Tensor, *, retry: Retry | None = None) -> Tensor:
    """The encoder's output for a picture (8h, 8w, 3), floats from 0 to 1.

    Returns mean and log-variance, (1, 2 * channels, h, w), for `sample_posterior`. `retry`, tweaks
    and errors as for `decode`.
    """
    return _encode_one(vae, (picture.float() * 2 - 1).permute(2, 0, 1), retry)


def sample_posterior(moments: Tensor, scale_factor: float, generator: torch.Generator) -> Tensor:
    """Sample a scaled latent (n, channels, h, w) from the encoder's distribution.

    `moments` (n, 2 * channels, h, w) are mean and log-variance; the noise is drawn on the CPU.
    """
    mean, log_variance = moments.float().chunk(2, dim=1)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    return scale_factor * (mean + (log_variance.clamp(-30, 20) / 2).exp() * noise)


def retry_dtype(*, auto_precision: bool, bfloat16: bool) -> torch.dtype | None:
    """The dtype to retry in after NaN, None for no retry (spec networks.md 1.6).

    By the options `auto_vae_precision` (float32) and `auto_vae_precision_bfloat16`, which takes
    precedence.
    """
    if bfloat16:
        return torch.bfloat16
    return torch.float32 if auto_precision else None


def to_bytes(decoded: Tensor) -> Tensor:
    """Decoder output, about -1 to 1, to uint8 by truncation. Any shape."""
    return ((decoded.float() + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8)


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """(n, height, width, 3) uint8 to RGB pictures."""
    return [Image.fromarray(picture.numpy()) for picture in pixels]


def approximate(latents: Tensor, map_: LatentRgb) -> Tensor:
    """Decode latents (n, channels, h, w) roughly, by a linear map: (n, h, w, 3) uint8."""
    factors, bias = (torch.tensor(x, device=latents.device) for x in (map_.factors, map_.bias))
    return to_bytes(torch.einsum("nchw,cr->nhwr", latents.float(), factors) + bias).cpu()


def latent_rgb_in(metadata: Mapping[str, str], channels: int) -> LatentRgb | None:
    """The colour map in a safetensors file's metadata, for latents of `channels` channels.

    `latent_rgb_factors` is a JSON array of rows of three numbers, `latent_rgb_bias` one of three
    numbers. None if they are absent or unusable; the latter is logged.
    """
    try:
        factors = json.loads(metadata["latent_rgb_factors"])
        bias = json.loads(metadata.get("latent_rgb_bias", "[0, 0, 0]"))
        rows = [tuple(map(float, row)) for row in (*factors, bias)]
    except KeyError:
        return None
    except (ValueError, TypeError, RecursionError):
        rows = []
    if [len(row) for row in rows] != [3] * (channels + 1) or not all(map(isfinite, chain(*rows))):
        log.warning("ignoring the latent_rgb_factors of a checkpoint: not %d rows of 3", channels)
        return None
    *factors, bias = [(red, green, blue) for red, green, blue in rows]
    return LatentRgb(tuple(factors), bias)


def _decode_one(
    vae: "AutoencoderKL", latent: Tensor, scale_factor: float, retry: Retry | None
) -> Tensor:
    scaled = latent.unsqueeze(0) * (1.0 / scale_factor)

    def picture(vae: "AutoencoderKL") -> Tensor:
        decoded: Tensor = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
        return decoded

    decoded = _without_nan(vae, picture, retry)
    return to_bytes(decoded[0]).permute(1, 2, 0).contiguous().cpu()


def _encode_one(vae: "AutoencoderKL", picture: Tensor, retry: Retry | None) -> Tensor:
    def moments(vae: "AutoencoderKL") -> Tensor:
        given = picture.unsqueeze(0).to(vae.device, vae.dtype)
        parameters: Tensor = vae.encode(given, return_dict=False)[0].parameters
        return parameters

    return _without_nan(vae, moments, retry)


def _without_nan(
    vae: "AutoencoderKL", compute: Callable[["AutoencoderKL"], Tensor], retry: Retry | None
) -> Tensor:
    """The result of `compute(vae)`, or after NaN that of the retry VAE. Raises `NotANumber`."""
    result = compute(vae)
    if not bool(result.isnan().any()):
        return result
    del result
    other = vae if retry is None else retry(vae)
    if other is vae:
        raise NotANumber("the VAE produced NaN: try it in float32 (--no-half-vae)")
    return _without_nan(other, compute, None)
