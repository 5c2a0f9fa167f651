"""SD2 unCLIP: conditioned on a picture's CLIP embedding, by an image encoder in the file."""

from collections.abc import Callable
from dataclasses import replace

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Networks, Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.vision_dimensions import infer_vision
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import (
    ImageEmbedder,
    build_image_embedder,
)
from hexfusion.adapters.gpu.torch_backend.families.detection import has_size
from hexfusion.adapters.gpu.torch_backend.families.family import EmbedderBuilder
from hexfusion.adapters.gpu.torch_backend.families.sd2 import SD2, infer_sd2
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights

NORM = "embedder.model.ln_final.weight"


def _inferred(*, open_clip: bool) -> Callable[[Shapes], Networks]:
    def infer(shapes: Shapes) -> Networks:
        vision = infer_vision(shapes, open_clip=open_clip)
        return replace(infer_sd2(shapes), vision=vision)

    return infer


def _embedder(*, statistics: bool) -> EmbedderBuilder:
    def build(
        networks: Networks, weights: Weights, device: torch.device, dtype: torch.dtype
    ) -> ImageEmbedder:
        assert networks.vision is not None, "inferred for this family"
        return build_image_embedder(networks.vision, weights, device, dtype, statistics=statistics)

    return build


UNCLIP_L = replace(
    SD2,
    name="SD2 unCLIP-L",
    detect=has_size(NORM, 0, 768),
    infer=_inferred(open_clip=False),
    prediction="v",
    embedder=_embedder(statistics=True),
)

UNCLIP_H = replace(
    SD2,
    name="SD2 unCLIP-H",
    detect=has_size(NORM, 0, 1024),
    infer=_inferred(open_clip=True),
    prediction="v",
    embedder=_embedder(statistics=False),
)
