"""Latents to pictures: exactly through the autoencoder, or roughly for previews.

Source: spec sampling.md 6.8 and images.md 14.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from domain.errors import NotANumber

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

#: Rows are latent channels, columns red, green and blue.
LATENT_TO_RGB: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "SD1": (
        (0.298, 0.207, 0.208),
        (0.187, 0.286, 0.173),
        (-0.158, 0.189, 0.264),
        (-0.184, -0.271, -0.473),
    ),
    "SDXL": (
        (0.3448, 0.4168, 0.4395),
        (-0.1953, -0.0290, 0.0250),
        (0.1074, 0.0886, -0.0163),
        (-0.3730, -0.2499, -0.2088),
    ),
}


@torch.inference_mode()
def decode(
    vae: "AutoencoderKL",
    latents: Tensor,
    scale_factor: float,
    *,
    retry: torch.dtype | None = torch.float32,
) -> Tensor:
    """Decode (n, channels, h, w) latents to (n, 8h, 8w, 3) uint8 on the CPU.

    One picture at a time, so that each is the same in any batch. If a picture comes out as NaN
    in another dtype than `retry`, the VAE is moved to that dtype for good and tries again.
    Raises `NotANumber` if the latents or the picture are NaN.
    """
    if bool(latents.isnan().any()):
        raise NotANumber("the UNet produced NaN: try it in float32 (--no-half)")
    pictures = [_decode_one(vae, latent, scale_factor, retry) for latent in latents]
    return torch.stack(pictures)


def to_bytes(decoded: Tensor) -> Tensor:
    """Decoder output, about -1 to 1, to uint8 by truncation. Any shape."""
    return ((decoded.float() + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8)


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """(n, height, width, 3) uint8 to RGB pictures."""
    return [Image.fromarray(picture.numpy()) for picture in pixels]


def approximate(latents: Tensor, family: str) -> Tensor:
    """A guess at the picture, one pixel per latent: (n, channels, h, w) to (n, h, w, 3) uint8.

    A linear map per `family` of checkpoints; unknown ones are taken for SD1's.
    """
    matrix = torch.tensor(
        LATENT_TO_RGB.get(family, LATENT_TO_RGB["SD1"]), dtype=torch.float32, device=latents.device
    )
    return to_bytes(torch.einsum("nchw,cr->nhwr", latents.float(), matrix)).cpu()


def _decode_one(
    vae: "AutoencoderKL", latent: Tensor, scale_factor: float, retry: torch.dtype | None
) -> Tensor:
    scaled = latent.unsqueeze(0) * (1.0 / scale_factor)
    decoded = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
    if bool(decoded.isnan().any()):
        if retry is None or vae.dtype == retry:
            raise NotANumber("the VAE produced NaN: try it in float32 (--no-half-vae)")
        return _decode_one(vae.to(retry), latent, scale_factor, None)
    return to_bytes(decoded[0]).permute(1, 2, 0).contiguous().cpu()
