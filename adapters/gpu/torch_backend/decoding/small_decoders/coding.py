"""Decoding and encoding by small networks. Source: spec images.md 14, sampling.md 6.7 and 6.8."""

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.latents.vae import refuse_nan, to_bytes


@torch.inference_mode()
def decode_small(decoder: nn.Module, latents: Tensor) -> Tensor:
    """Decode latents (n, channels, h, w) by TAESD to (n, 8h, 8w, 3) uint8 on the CPU.

    One picture at a time, so that a picture does not depend on its batch. Raises `NotANumber`.
    """
    refuse_nan(latents)
    return torch.stack([_pixels(2 * _run(decoder, each[None]) - 1)[0] for each in latents])


@torch.inference_mode()
def encode_small(encoder: nn.Module, picture: Tensor) -> Tensor:
    """Encode a picture (8h, 8w, 3), floats from 0 to 1, by TAESD: (1, channels, h, w) float32.

    The latent is scaled for the UNet. No noise is drawn.
    """
    return _run(encoder, picture.permute(2, 0, 1)[None])


@torch.inference_mode()
def decode_approximately(network: nn.Module, latents: Tensor) -> Tensor:
    """Decode latents (n, channels, h, w) by Approx NN to (n, 2h, 2w, 3) uint8 on the CPU."""
    return _pixels(_run(network, latents))


def _run(network: nn.Module, given: Tensor) -> Tensor:
    """Run the network in its dtype, on its device; the result is float32."""
    weight = next(network.parameters())
    return network(given.to(weight.device, weight.dtype)).float()


def _pixels(colours: Tensor) -> Tensor:
    return to_bytes(colours).permute(0, 2, 3, 1).contiguous().cpu()
