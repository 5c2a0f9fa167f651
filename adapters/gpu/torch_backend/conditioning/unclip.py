"""Conditioning of unCLIP checkpoints by the CLIP embedding of a picture (spec images.md 6).

Ramesh et al. 2022 (arXiv:2204.06125), in Stable unCLIP 2.1's form: the embedding with noise added,
and an encoding of the noise level. A1111 always uses the lowest level.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from hexfusion.adapters.gpu.torch_backend.architectures.builders import filled_from_checkpoint
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.open_clip import (
    locate_open_clip_vision,
)
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import VisionArchitecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights, read_torch_file
from hexfusion.adapters.gpu.torch_backend.latents.init_latents import to_floats
from hexfusion.adapters.gpu.torch_backend.sampling.guidance import (
    Conditioning,
    Schedule,
    ScheduledContext,
    WeightedSchedule,
)
from hexfusion.domain.errors import CheckpointError

if TYPE_CHECKING:
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation, by colour, of the pictures that CLIP was trained on."""

STATISTICS = "ViT-L-14_stats.th"
"""Karlo's file of the mean and deviation of ViT-L embeddings, which the checkpoint lacks."""

_IN_FILE = ("noise_augmentor.data_mean", "noise_augmentor.data_std")


class ImageEmbedder:
    """Encodes pictures into the vectors that an unCLIP takes. Safe to use from many threads.

    `mean` and `spread` (standard deviation) are (width,), of the embeddings it was trained on.
    """

    def __init__(
        self, network: "CLIPVisionModelWithProjection", mean: Tensor, spread: Tensor
    ) -> None:
        self.network = network
        self._mean = mean
        self._spread = spread

    @property
    def vector_width(self) -> int:
        """Elements of the UNet's vector: an embedding and its noise level, equally long."""
        return 2 * len(self._mean)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image], generator: torch.Generator) -> Tensor:
        """The pictures' vectors: (B, vector_width) float32 on the CPU; noise from `generator`."""
        embeddings: dict[int, Tensor] = {}
        for picture in pictures:
            if id(picture) not in embeddings:
                embeddings[id(picture)] = self._embedded(to_floats(picture))
        embedded = torch.cat([embeddings[id(picture)] for picture in pictures])
        return with_noise_level(embedded, self._mean, self._spread, generator)

    def _embedded(self, picture: Tensor) -> Tensor:
        network = self.network
        pixels = clip_pixels(picture, network.config.image_size)
        embeds: Tensor = network(pixels.to(network.device, network.dtype)).image_embeds
        return embeds.float().cpu()


def clip_pixels(picture: Tensor, side: int) -> Tensor:
    """A picture (height, width, 3), 0 to 1, stretched and normalised for CLIP: (1, 3, side, side).

    When shrinking it is blurred first against aliasing, with a sigma of (factor - 1) / 2 pixels
    (the rule of kornia's `resize`).
    """
    pixels = picture.permute(2, 0, 1)[None].float()
    factors = pixels.shape[-2] / side, pixels.shape[-1] / side
    if max(factors) > 1:
        down, across = ((factor - 1) / 2 for factor in factors)
        pixels = _blurred(_blurred(pixels, down).mT, across).mT
    pixels = interpolate(pixels, (side, side), mode="bicubic", align_corners=True)
    mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, SPREAD))
    return (pixels - mean) / spread


def _blurred(pixels: Tensor, sigma: float) -> Tensor:
    """`pixels` (1, 3, h, w) blurred along their columns, mirrored at the edges."""
    sigma = max(sigma, 0.001)
    size = int(max(4 * sigma, 3)) | 1
    reach = size // 2
    weights = torch.exp(-((torch.arange(size) - reach) ** 2) / (2 * sigma**2))
    kernel = (weights / weights.sum()).view(1, 1, size, 1).expand(3, 1, size, 1)
    return conv2d(pad(pixels, (0, 0, reach, reach), mode="reflect"), kernel, groups=3)


def with_noise_level(
    embedded: Tensor, mean: Tensor, spread: Tensor, generator: torch.Generator
) -> Tensor:
    """Embeddings (B, width) noised at the lowest level, and the level's encoding: (B, 2 * width).

    The first of 1000 steps of the squared-cosine schedule (Nichol and Dhariwal 2021,
    arXiv:2102.09672). The level is encoded as the sinusoids of time 0: ones, then zeros.
    """
    alpha = _cosine(1 / 1000) / _cosine(0)
    noise = torch.randn(embedded.shape, generator=generator)
    centred = (embedded - mean) / spread
    noised = (math.sqrt(alpha) * centred + math.sqrt(1 - alpha) * noise) * spread + mean
    half = embedded.shape[1] // 2
    level = torch.cat([torch.ones(half), torch.zeros(embedded.shape[1] - half)])
    return torch.cat([noised, level.expand(len(embedded), -1)], dim=1)


def _cosine(time: float) -> float:
    return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2


def with_image_vectors(conditioning: Conditioning, vectors: Tensor) -> Conditioning:
    """`conditioning` with `vectors` (B, width): each image's prompt gets its picture's vector.

    Negative prompts get zeros.
    """
    unseen = torch.zeros_like(vectors[0])

    def seeing(schedule: Schedule, vector: Tensor) -> Schedule:
        return tuple(ScheduledContext(each.end_at, each.context, vector) for each in schedule)

    return Conditioning(
        positive=tuple(
            tuple(WeightedSchedule(seeing(part.schedule, vector), part.weight) for part in parts)
            for parts, vector in zip(conditioning.positive, vectors, strict=True)
        ),
        negative=tuple(seeing(schedule, unseen) for schedule in conditioning.negative),
        empty=conditioning.empty,
    )


def build_image_embedder(
    architecture: VisionArchitecture,
    weights: Weights,
    device: torch.device,
    dtype: torch.dtype,
    *,
    statistics: bool,
) -> ImageEmbedder:
    """The image encoder with the file's weights.

    `statistics`: mean and deviation of the embeddings are needed. They are read from the file, or
    from Karlo's file in the same folder or in the folder `karlo` next to it. Raises
    `CheckpointError` naming the file and the tensor that is missing or misshapen.
    """
    from transformers.models.clip.configuration_clip import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

    width = architecture.projection
    mean, spread = torch.zeros(width), torch.ones(width)
    if statistics:
        mean, spread = _statistics(weights, width)
    config = CLIPVisionConfig(
        hidden_size=architecture.width,
        intermediate_size=architecture.intermediate,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        image_size=architecture.side,
        patch_size=architecture.patch,
        projection_dim=width,
        hidden_act=architecture.activation,
    )
    with torch.device("meta"):
        network = CLIPVisionModelWithProjection(config)
    prefix = architecture.prefix
    locate = locate_open_clip_vision(prefix)
    network = filled_from_checkpoint(network, locate, prefix, weights, device, dtype)
    embeddings = network.vision_model.embeddings
    # not in the state dict: its place is still on meta
    embeddings.position_ids = torch.arange(embeddings.num_positions, device=device).expand(1, -1)
    return ImageEmbedder(network, mean, spread)


def _statistics(weights: Weights, width: int) -> tuple[Tensor, Tensor]:
    if all(name in weights for name in _IN_FILE):
        mean, spread = (weights[name].float().reshape(-1) for name in _IN_FILE)
        return _checked(weights.file, mean, spread, width)
    folder = Path(weights.file).parent
    for path in (folder / STATISTICS, folder.parent / "karlo" / STATISTICS):
        if path.is_file():
            match read_torch_file(path):
                case (Tensor() as mean, Tensor() as spread):
                    return _checked(str(path), mean.float(), spread.float(), width)
            raise CheckpointError(str(path), "does not hold a mean and a spread")
    message = (
        "is missing: this unCLIP needs the statistics of its image embeddings; put "
        f"{STATISTICS} beside it, or into the folder karlo beside its folder"
    )
    raise CheckpointError(weights.file, message, _IN_FILE[0])


def _checked(file: str, mean: Tensor, spread: Tensor, width: int) -> tuple[Tensor, Tensor]:
    if mean.shape != (width,) or spread.shape != (width,):
        shapes = f"{list(mean.shape)} and {list(spread.shape)}"
        raise CheckpointError(file, f"has a mean and a spread of {shapes}, expected [{width}]")
    return mean, spread
