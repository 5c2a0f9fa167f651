"""Loading a checkpoint file into networks that are ready to generate."""

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
    VAE,
    Shapes,
    TextArchitecture,
    infer_vae,
)
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import (
    OriginalConfig,
    read_original_config,
)
from hexfusion.adapters.gpu.torch_backend.architectures.prediction import measure_prediction
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import TextConditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import ImageInput
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.conditioning.tokenizer import (
    ClipTokenizer,
    open_clip_tokenizer,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import ImageEmbedder
from hexfusion.adapters.gpu.torch_backend.families.architecture import (
    Architecture,
    infer_architecture,
)
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights, read_weights
from hexfusion.adapters.gpu.torch_backend.latents.vae import LatentRgb, latent_rgb_in
from hexfusion.adapters.gpu.torch_backend.precision import FULL, Precision
from hexfusion.domain.errors import CheckpointError, MissingVae
from hexfusion.domain.prompts import CLIP_L, OPEN_CLIP

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

TIMESTEPS = 1000


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint's networks on their device, and what is needed to use them.

    `alphas_cumprod` is (1000,) float32 on the CPU if the file or its `.yaml` sets the noise table,
    None for the standard one (spec sampling.md 2.1). `prediction` is "epsilon" or "v". `latent_rgb`
    is the file's own colour map for previews, if it has one. `image_input` makes the UNet's image
    channels, if it takes any; `embedder` encodes pictures for an unCLIP.

    `autoencoder` is the VAE that jobs use: the file's own, or one from another file. It is None if
    the file holds no whole VAE and none is chosen; `lacks_vae` says what the file lacks, and is
    empty if it lacks nothing.
    """

    file: str
    family: Family
    architecture: Architecture
    unet: "UNet2DConditionModel"
    autoencoder: "AutoencoderKL | None"
    text: TextConditioner
    alphas_cumprod: Tensor | None
    prediction: str
    scale_factor: float
    latent_rgb: LatentRgb | None
    embedder: ImageEmbedder | None = None
    image_input: ImageInput | None = None
    lacks_vae: str = ""

    @property
    def vae(self) -> "AutoencoderKL":
        """The VAE that jobs use. Raises `MissingVae` if there is none."""
        if self.autoencoder is None:
            raise MissingVae(Path(self.file).name, self.lacks_vae)
        return self.autoencoder


def load_checkpoint(
    path: Path,
    device: torch.device | str = "cpu",
    precision: Precision = FULL,
    *,
    home: Callable[[Family], torch.device] | None = None,
    mmap: bool = True,
) -> LoadedCheckpoint:
    """Load a checkpoint from one file; nothing is downloaded.

    `precision` has the dtype of each network. `home`, if given, chooses the device by the family,
    instead of `device`. `mmap` as for `read_weights`. A file without a VAE, or with a part of one,
    is loaded without. Raises `CheckpointError` naming the file, and the tensor if one causes the
    error.
    """
    device = torch.device(device)
    weights = read_weights(path, mmap=mmap)
    config = read_original_config(path)
    architecture = infer_architecture(Shapes(weights.file, weights.shapes()), config)
    family = architecture.family
    if home is not None:
        device = home(family)
    unet = build_unet(architecture.unet, weights, device, precision.unet)
    prediction = architecture.prediction or measure_prediction(
        unet, architecture.unet.context_width
    )
    autoencoder, lacks_vae = _own_vae(architecture, weights, device, precision.vae)
    return LoadedCheckpoint(
        file=weights.file,
        family=family,
        architecture=architecture,
        unet=unet,
        autoencoder=autoencoder,
        text=build_conditioner(architecture, weights, device, precision.text),
        alphas_cumprod=_noise_table(weights, config) if family.own_noise_table else None,
        prediction=prediction,
        scale_factor=architecture.scale_factor,
        latent_rgb=latent_rgb_in(weights.metadata, family.latents.channels),
        embedder=(
            family.embedder(architecture, weights, device, precision.text)
            if family.embedder
            else None
        ),
        image_input=family.image_input(architecture, weights, device),
        lacks_vae=lacks_vae,
    )


def _own_vae(
    architecture: Architecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> "tuple[AutoencoderKL | None, str]":
    """The file's VAE, or None and what the file lacks of one.

    Raises `CheckpointError` for a VAE that is not only incomplete.
    """
    if not any(name.startswith(VAE) for name in weights):
        return None, "holds no VAE"
    try:
        vae = architecture.vae or infer_vae(Shapes(weights.file, weights.shapes()))
        return build_vae(vae, weights, device, dtype), ""
    except CheckpointError as error:
        if error.tensor is None or error.tensor in weights:
            raise
        return None, f"holds only a part of a VAE, without tensor {error.tensor!r}"


def build_conditioner(
    architecture: Architecture, weights: Weights, device: torch.device, dtype: torch.dtype
) -> TextConditioner:
    """Build the text encoders and the family's conditioner. Raises as `build_unet`."""
    encoders = [_encoder(text, weights, device, dtype) for text in architecture.texts]
    return architecture.family.conditioner(architecture, encoders)


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
    """The noise table: the file's, else by the `.yaml`'s betas (spec sampling.md 2.1)."""
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
