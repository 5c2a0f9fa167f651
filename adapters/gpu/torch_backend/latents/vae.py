"""Latents to pictures and back: exactly through the autoencoder, or roughly for previews.

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
"""Given a VAE that yielded NaN, the one to try again with: a copy in another dtype, or the same
where there is none that could do better. It does not write to the one it is given."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatentRgb:
    """The linear map that shows roughly what a latent will decode to.

    `factors` has a row per latent channel, its columns are red, green and blue; `bias` is added.
    Colours run from -1 to 1.
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

    One picture at a time, so that each is the same in any batch. One that has a NaN is decoded
    again by the VAE that `retry` gives; `vae` itself is only read. Raises `NotANumber` if the
    latents have a NaN, or the picture the last time. The tweaks of `computing` hold.
    """
    refuse_nan(latents)
    pictures = [_decode_one(vae, latent, scale_factor, retry) for latent in latents]
    return torch.stack(pictures)


def refuse_nan(latents: Tensor) -> None:
    """Raises `NotANumber` for latents that have one."""
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

    The autoencoder answers with a distribution, of which a sample is drawn from `generator`, one
    of the CPU's. Pictures are encoded and drawn one at a time, in order. The latents are on the
    VAE's device. `retry`, tweaks and errors as for `decode`.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    moments = [posterior(vae, picture, retry=retry) for picture in images]
    return torch.cat([sample_posterior(each, scale_factor, generator) for each in moments])


@torch.inference_mode()
def posterior(vae: "AutoencoderKL", picture: Tensor, *, retry: Retry | None = None) -> Tensor:
    """What the encoder says of a picture (8h, 8w, 3), floats from 0 to 1: moments
    (1, 2 * channels, h, w), as `sample_posterior` takes them. `retry`, tweaks and errors as for
    `decode`.
    """
    return _encode_one(vae, (picture.float() * 2 - 1).permute(2, 0, 1), retry)


def sample_posterior(moments: Tensor, scale_factor: float, generator: torch.Generator) -> Tensor:
    """A scaled latent (n, channels, h, w) out of what the encoder says of it.

    `moments` (n, 2 * channels, h, w) are mean and log-variance; their noise is drawn on the CPU.
    """
    mean, log_variance = moments.float().chunk(2, dim=1)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    return scale_factor * (mean + (log_variance.clamp(-30, 20) / 2).exp() * noise)


def retry_dtype(*, auto_precision: bool, bfloat16: bool) -> torch.dtype | None:
    """The dtype in which NaN is tried again, by the two options (spec networks.md 1.6).

    They are `auto_vae_precision` and `auto_vae_precision_bfloat16`, which goes first.
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
    """A guess at the picture, one pixel per latent: (n, channels, h, w) to (n, h, w, 3) uint8."""
    factors, bias = (torch.tensor(x, device=latents.device) for x in (map_.factors, map_.bias))
    return to_bytes(torch.einsum("nchw,cr->nhwr", latents.float(), factors) + bias).cpu()


def latent_rgb_in(metadata: Mapping[str, str], channels: int) -> LatentRgb | None:
    """The map a safetensors file brings in its metadata, for a VAE of `channels` latents.

    `latent_rgb_factors` is a JSON array of rows of three, `latent_rgb_bias` one of three numbers.
    None where they are absent, or unusable, which is logged: a preview is not worth an error.
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
        told: Tensor = vae.encode(given, return_dict=False)[0].parameters
        return told

    return _without_nan(vae, moments, retry)


def _without_nan(
    vae: "AutoencoderKL", compute: Callable[["AutoencoderKL"], Tensor], retry: Retry | None
) -> Tensor:
    """What the VAE computes, or else the one to try again with. Raises `NotANumber`."""
    result = compute(vae)
    if not bool(result.isnan().any()):
        return result
    del result
    other = vae if retry is None else retry(vae)
    if other is vae:
        raise NotANumber("the VAE produced NaN: try it in float32 (--no-half-vae)")
    return _without_nan(other, compute, None)
