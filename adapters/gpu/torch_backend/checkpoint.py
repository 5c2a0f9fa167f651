"""One file to a checkpoint that is ready to generate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.architectures.builders import (
    build_text,
    build_unet,
    build_vae,
)
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Architecture,
    Shapes,
    TextArchitecture,
)
from hexfusion.adapters.gpu.torch_backend.architectures.families import UNCLIP_L, infer_architecture
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import (
    OriginalConfig,
    read_original_config,
)
from hexfusion.adapters.gpu.torch_backend.architectures.prediction import measure_prediction
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import (
    ClipConditioner,
    OpenClipConditioner,
    RefinerConditioner,
    TextConditioner,
    XlConditioner,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.depth import build_depth
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import (
    Depth,
    EditedPicture,
    ImageInput,
    MaskedPicture,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import (
    ClipTokenizer,
    open_clip_tokenizer,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import (
    ImageEmbedder,
    build_image_embedder,
)
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights, read_weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb, own_latent_rgb
from hexfusion.adapters.gpu.torch_backend.precision import FULL, Precision
from hexfusion.domain.errors import CheckpointError
from hexfusion.domain.prompts import CLIP_L, OPEN_CLIP

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

TIMESTEPS = 1000

LATENT = 4
"""Channels of a latent."""


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint's networks on their device, and how to use them.

    `alphas_cumprod` is (1000,) float32 on the CPU where the file or its `.yaml` sets the noise
    table, None where the standard one applies (spec sampling.md 2.1). `prediction` is "epsilon"
    or "v". `latent_rgb` is the file's own map for previews, if it brings one. `image_input` is what
    its UNet sees beside the latent, if anything; an unCLIP has an `embedder` of pictures.
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
    embedder: ImageEmbedder | None = None
    image_input: ImageInput | None = None

    @property
    def sdxl(self) -> bool:
        """Whether it is SDXL, its refiner or pruned from it."""
        return is_sdxl(self.family)

    @property
    def sd2(self) -> bool:
        """Whether it is an SD2 of whatever inputs."""
        return self.family.startswith("SD2")


def load_checkpoint(
    path: Path,
    device: torch.device | str = "cpu",
    precision: Precision = FULL,
    *,
    home: Callable[[str], torch.device] | None = None,
    mmap: bool = True,
) -> LoadedCheckpoint:
    """Read, recognise and build. All-or-nothing; needs no network and no other file.

    `home` says, instead of `device`, where the networks of a family are to lie.
    Raises `CheckpointError`, naming the file and the tensor if one is to blame.
    """
    device = torch.device(device)
    weights = read_weights(path, mmap=mmap)
    config = read_original_config(path)
    architecture = infer_architecture(Shapes(weights.file, weights.shapes()), config)
    if home is not None:
        device = home(architecture.family)
    unet = build_unet(architecture.unet, weights, device, precision.unet)
    prediction = architecture.prediction or measure_prediction(
        unet, architecture.unet.context_width
    )
    return LoadedCheckpoint(
        file=weights.file,
        family=architecture.family,
        architecture=architecture,
        unet=unet,
        vae=build_vae(architecture.vae, weights, device, precision.vae),
        text=build_conditioner(architecture, weights, device, precision.text),
        alphas_cumprod=None if is_sdxl(architecture.family) else _noise_table(weights, config),
        prediction=prediction,
        scale_factor=architecture.scale_factor,
        latent_rgb=own_latent_rgb(weights.metadata, architecture.vae.latent_channels),
        embedder=_embedder(architecture, weights, device, precision.text),
        image_input=_image_input(architecture, weights, device),
    )


def _embedder(
    architecture: Architecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> ImageEmbedder | None:
    if architecture.vision is None:
        return None
    statistics = architecture.family == UNCLIP_L
    return build_image_embedder(architecture.vision, weights, device, dtype, statistics=statistics)


def _image_input(
    architecture: Architecture, weights: Weights, device: torch.device
) -> ImageInput | None:
    if architecture.depth:
        return Depth(build_depth(architecture.depth, weights, device))
    match architecture.unet.in_channels - LATENT:
        case 0:
            return None
        case 4:
            return EditedPicture()
        case 5:
            return MaskedPicture(rounded=is_sdxl(architecture.family))
    raise AssertionError(f"{architecture.family} with {architecture.unet.in_channels} channels")


def is_sdxl(family: str) -> bool:
    """Whether that is the SDXL family or one of its relatives."""
    return family.startswith(("SDXL", "SSD-1B"))


def build_conditioner(
    architecture: Architecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> TextConditioner:
    """The checkpoint's text encoders, put together as its family does. Errors as `build_unet`."""
    encoders = [_encoder(text, weights, device, dtype) for text in architecture.texts]
    match encoders:
        case [clip, open_clip]:
            return XlConditioner(clip, open_clip)
        case [only] if is_sdxl(architecture.family):
            return RefinerConditioner(only)
        case [only] if architecture.texts[0].open_clip:
            return OpenClipConditioner(only, cut=architecture.texts[0].cut)
        case [only]:
            return ClipConditioner(only)
    raise AssertionError(f"{architecture.family} with {len(encoders)} encoders")


def _encoder(
    text: TextArchitecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> TextEncoder:
    model, projection = build_text(text, weights, device, dtype)
    return TextEncoder(
        model,
        _open_clip_tokenizer() if text.open_clip else _clip_tokenizer(),
        special=OPEN_CLIP if text.open_clip else CLIP_L,
        final_norm=text.final_norm,
        projection=projection,
    )


@cache
def _clip_tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


@cache
def _open_clip_tokenizer() -> ClipTokenizer:
    return open_clip_tokenizer()


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
