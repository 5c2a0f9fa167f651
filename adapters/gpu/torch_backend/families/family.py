"""What a family of checkpoints is: how it is recognised, and its facts.

Code asks a family for a fact; it never goes by its name, which is for messages. Source: spec
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
    """Puts text encoders, in the order of `networks.texts`, together as a family does."""

    def __call__(self, networks: Networks, encoders: Sequence[TextEncoder]) -> TextConditioner: ...


class ImageInputBuilder(Protocol):
    """Makes what a UNet is shown beside the latent, None for nothing, with what the file holds.

    Raises `CheckpointError`.
    """

    def __call__(
        self, networks: Networks, weights: Weights, device: torch.device
    ) -> ImageInput | None: ...


class EmbedderBuilder(Protocol):
    """Makes an unCLIP's embedder of pictures out of the file. Raises `CheckpointError`."""

    def __call__(
        self, networks: Networks, weights: Weights, device: torch.device, dtype: torch.dtype
    ) -> ImageEmbedder: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """A kind of checkpoint that can be loaded.

    `detect` is the rule that recognises it among those before whom it stands in the registry;
    `infer` reads the networks' dimensions off a file that it recognised, and raises
    `CheckpointError` for a tensor the structure needs and the file lacks.

    `latents` is the space it denoises in. `prediction` is what its UNet predicts: "epsilon" or "v",
    None where only the network itself can tell, which is then measured. A `.yaml` beside the file
    corrects scale factor and prediction.

    `conditioner` puts the text encoders together. `image_input` is what the UNet is shown beside
    the latent, `embedder` what tells it of pictures in its vector.

    `own_noise_table` says that a noise table in the file or its `.yaml` counts (spec sampling.md
    2.1), `align_your_steps` are the eleven levels of that schedule. `medvram_sdxl` says that the
    flag of this name means it (spec api.md 1), `lora_open_clip` that LoRA files call the layers of
    its OpenCLIP encoder as if it were CLIP.
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
    """A kind of checkpoint that is recognised to be refused by its name."""

    name: str
    detect: Rule
