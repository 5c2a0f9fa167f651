"""Latent spaces that families share: channels, scale factor, preview colours, small decoders.

Source: spec networks.md 1.4, images.md 14.
"""

from dataclasses import dataclass

from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb


@dataclass(frozen=True)
class LatentSpace:
    """A latent space.

    Latents have `channels` channels, and are the VAE's mean times `scale_factor`. `rgb` maps them
    to approximate colours. `approximations` are candidate files of Approx NN below the models
    folder, the first that exists is used. `taesd` is TAESD's file without its suffix, with "{}"
    for "encoder" or "decoder".
    """

    channels: int
    scale_factor: float
    rgb: LatentRgb
    approximations: tuple[str, ...]
    taesd: str


SD1_LATENTS = LatentSpace(
    channels=4,
    scale_factor=0.18215,
    rgb=LatentRgb(
        (
            (0.298, 0.207, 0.208),
            (0.187, 0.286, 0.173),
            (-0.158, 0.189, 0.264),
            (-0.184, -0.271, -0.473),
        )
    ),
    approximations=("VAE-approx/model.pt", "VAE-approx/model.safetensors"),
    taesd="VAE-taesd/taesd_{}",
)
"""The latent space of SD1 and SD2."""

SDXL_LATENTS = LatentSpace(
    channels=4,
    scale_factor=0.13025,
    rgb=LatentRgb(
        (
            (0.3448, 0.4168, 0.4395),
            (-0.1953, -0.0290, 0.0250),
            (0.1074, 0.0886, -0.0163),
            (-0.3730, -0.2499, -0.2088),
        )
    ),
    approximations=("VAE-approx/vaeapprox-sdxl.pt", "VAE-approx/vaeapprox-sdxl.safetensors"),
    taesd="VAE-taesd/taesdxl_{}",
)
"""The latent space of SDXL, its refiner and SSD-1B."""
