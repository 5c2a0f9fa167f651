"""One file to a checkpoint that is ready to generate."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adapters.gpu.torch_backend.architecture import Architecture, Shapes, infer_architecture
from adapters.gpu.torch_backend.conditioners import ClipConditioner, TextConditioner
from adapters.gpu.torch_backend.networks import build_clip_text, build_unet, build_vae
from adapters.gpu.torch_backend.original_config import OriginalConfig, read_original_config
from adapters.gpu.torch_backend.text_encoder import TextEncoder
from adapters.gpu.torch_backend.tokenizer import ClipTokenizer
from adapters.gpu.torch_backend.vae import LatentRgb, own_latent_rgb
from adapters.gpu.torch_backend.weights import Weights, read_weights
from domain.errors import CheckpointError

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

TIMESTEPS = 1000


@dataclass(frozen=True)
class Precision:
    """The dtype each network computes in."""

    unet: torch.dtype
    vae: torch.dtype
    text: torch.dtype


FULL = Precision(torch.float32, torch.float32, torch.float32)
HALF = Precision(torch.float16, torch.float16, torch.float16)


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint's networks on their device, and how to use them.

    `alphas_cumprod` is (1000,) float32 on the CPU where the file or its `.yaml` sets the noise
    table, None where the standard one applies (spec sampling.md 2.1). `prediction` is "epsilon"
    or "v". `latent_rgb` is the file's own map for previews, if it brings one. A UNet with more
    than four input channels wants extra ones (inpainting masks).
    """

    file: str
    family: str
    architecture: Architecture
    unet: "UNet2DConditionModel"
    vae: "AutoencoderKL"
    text: TextConditioner
    alphas_cumprod: Tensor | None
    prediction: str
    scale_factor: float
    latent_rgb: LatentRgb | None


def load_checkpoint(
    path: Path,
    device: torch.device | str = "cpu",
    precision: Precision = FULL,
    *,
    mmap: bool = True,
) -> LoadedCheckpoint:
    """Read, recognise and build. All-or-nothing; needs no network and no other file.

    Raises `CheckpointError`, naming the file and the tensor if one is to blame.
    """
    device = torch.device(device)
    weights = read_weights(path, mmap=mmap)
    config = read_original_config(path)
    architecture = infer_architecture(Shapes(weights.file, weights.shapes()), config)
    text = build_clip_text(architecture.text, weights, device, precision.text)
    return LoadedCheckpoint(
        file=weights.file,
        family=architecture.family,
        architecture=architecture,
        unet=build_unet(architecture.unet, weights, device, precision.unet),
        vae=build_vae(architecture.vae, weights, device, precision.vae),
        text=ClipConditioner(TextEncoder(text, _clip_tokenizer())),
        alphas_cumprod=_noise_table(weights, config),
        prediction=architecture.prediction,
        scale_factor=architecture.scale_factor,
        latent_rgb=own_latent_rgb(weights.metadata, architecture.vae.latent_channels),
    )


@cache
def _clip_tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


def _noise_table(weights: Weights, config: OriginalConfig) -> Tensor | None:
    """The file's table wins over one computed from the `.yaml`'s betas (spec sampling.md 2.1)."""
    name = "alphas_cumprod"
    if name in weights:
        table = weights[name]
        if table.shape != (TIMESTEPS,):
            message = f"has shape {list(table.shape)}, expected [{TIMESTEPS}]"
            raise CheckpointError(weights.file, message, name)
        return table.to(torch.float32, copy=True)
    if config.betas is None:
        return None
    first, last = config.betas
    betas = torch.linspace(first**0.5, last**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()
