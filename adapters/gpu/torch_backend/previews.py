"""What a half-finished latent shows. Source: spec images.md 14, api.md 11.2."""

import torch
from PIL import Image
from torch import Tensor

from adapters.gpu.torch_backend.loading import LoadedCheckpoint
from adapters.gpu.torch_backend.vae import approximate, decode, to_pictures
from application.grids import image_grid
from domain.plan import PreviewPlan


def decodes(plan: PreviewPlan) -> bool:
    """Whether a preview goes through the autoencoder: as slow as a step, or slower."""
    return plan.method == "Full"


@torch.inference_mode()
def preview(model: LoadedCheckpoint, latents: Tensor, plan: PreviewPlan) -> Image.Image:
    """One picture of clean latents (B, C, H, W): the first, or all of them as a grid.

    Method "Full" decodes; every other is the linear approximation, an eighth of the size.
    """
    shown = latents if plan.grid else latents[:1]
    if decodes(plan):
        pixels = decode(model.vae, shown, model.scale_factor)
    else:
        family = "SDXL" if model.sdxl else model.family  # a refiner's latents are SDXL's
        pixels = approximate(shown, family, model.latent_rgb)
    pictures = to_pictures(pixels)
    return pictures[0] if len(pictures) == 1 else image_grid(pictures)
