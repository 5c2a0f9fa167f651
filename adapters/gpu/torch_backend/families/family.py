"""`Family`: how a kind of checkpoint is recognised, and everything that is particular to it.

Code reads a family's fields and never compares its name, which is for messages. Source: spec
networks.md 1.4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Networks, Shapes
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import TextConditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import ImageInput
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import ImageEmbedder
from hexfusion.adapters.gpu.torch_backend.families.detection import Rule
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import LatentSpace
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import AYS_SD1


class ConditionerBuilder(Protocol):
    """Builds a family's conditioner from its text encoders, in the order of `networks.texts`."""

    def __call__(self, networks: Networks, encoders: Sequence[TextEncoder]) -> TextConditioner: ...


class ImageInputBuilder(Protocol):
    """Builds the source of the UNet's image channels from a file; None if it takes none.

    Raises `CheckpointError`.
    """

    def __call__(
        self, networks: Networks, weights: Weights, device: torch.device
    ) -> ImageInput | None: ...


class EmbedderBuilder(Protocol):
    """Builds an unCLIP's image embedder from the file. Raises `CheckpointError`."""

    def __call__(
        self, networks: Networks, weights: Weights, device: torch.device, dtype: torch.dtype
    ) -> ImageEmbedder: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """A kind of checkpoint that can be loaded.

    `detect` is the rule that recognises it, tried in the registry's order. `infer` reads the
    networks' dimensions from a file that it recognised, and raises `CheckpointError` for a tensor
    that is missing.

    `latents` is the space it denoises in. `prediction` is what its UNet predicts: "epsilon" or "v";
    None means it is measured. A sibling `.yaml` overrides scale factor and prediction.

    `conditioner` builds the text conditioner, `image_input` the source of the UNet's image
    channels, `embedder` the encoder of pictures for the UNet's vector (unCLIP).

    `own_noise_table`: a noise table in the file or its `.yaml` is used (spec sampling.md 2.1).
    `align_your_steps` has that schedule's eleven sigmas. `medvram_sdxl`: the flag of this name
    applies (spec api.md 1). `lora_open_clip`: LoRA files name the layers of its OpenCLIP encoder
    as CLIP's.
    """

    name: str
    detect: Rule
    infer: Callable[[Shapes], Networks]
    latents: LatentSpace
    prediction: str | None
    conditioner: ConditionerBuilder
    image_input: ImageInputBuilder
    embedder: EmbedderBuilder | None = None
    own_noise_table: bool = True
    align_your_steps: Sequence[float] = AYS_SD1
    medvram_sdxl: bool = False
    lora_open_clip: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Unsupported:
    """A kind of checkpoint that is recognised, and refused with an error naming it."""

    name: str
    detect: Rule
