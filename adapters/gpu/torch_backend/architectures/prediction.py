"""Measuring whether an SD2 UNet predicts noise or v (spec networks.md 1.4)."""

from typing import TYPE_CHECKING

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


@torch.inference_mode()
def measure_prediction(unet: "UNet2DConditionModel", context_width: int) -> str:
    """ "v" or "epsilon", by the network's output for a flat grey latent at the last timestep.

    There the input is nearly all noise. A network that predicts noise returns about its input, one
    that predicts v about the negative of the picture.
    """
    x = torch.full((1, unet.config.in_channels, 8, 8), 0.5, device=unet.device)
    t = torch.tensor([999.0], device=unet.device)
    context = torch.full((1, 2, context_width), 0.5, device=unet.device)
    answer = predict(unet, x, t, context)
    latent = x[:, : answer.shape[1]]  # without the image channels
    return "v" if (answer - latent).mean().item() < -1 else "epsilon"
