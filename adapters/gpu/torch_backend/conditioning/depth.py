"""Depth maps for SD2's depth model (spec images.md 6).

The estimator is MiDaS' DPT-hybrid (Ranftl et al. 2021, arXiv:2103.13413), whose weights are in the
checkpoint.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import interpolate

from hexfusion.adapters.gpu.torch_backend.architectures.builders import filled_from_checkpoint
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.dpt import locate_dpt
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import DepthArchitecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.adapters.gpu.torch_backend.latents.init_latents import to_floats

if TYPE_CHECKING:
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

PATCH = 16
MULTIPLE = 2 * PATCH
"""Input sides are multiples of this, so that the ViT's feature maps can be halved."""


class DepthEstimator:
    """Estimates the inverse depth of pictures. Safe to use from many threads.

    `side` is the length in pixels that pictures are scaled to at one side (see `input_size`).
    """

    def __init__(self, network: "DPTForDepthEstimation", side: int) -> None:
        self.network = network
        self._side = side

    @torch.inference_mode()
    def __call__(self, picture: Tensor) -> Tensor:
        """The inverse depth (h, w) of `picture` (height, width, 3), floats from 0 to 1.

        Larger is nearer; (h, w) is the `input_size` of the picture.
        """
        height, width = input_size(picture.shape[0], picture.shape[1], self._side)
        pixels = picture.permute(2, 0, 1)[None].to(self.network.device, torch.float32)
        # OpenCV's cubic interpolation is torch's
        resized = interpolate(pixels, (height, width), mode="bicubic", align_corners=False)
        return self._estimate(((resized - 0.5) / 0.5).to(self.network.dtype)).float()

    def _estimate(self, pixels: Tensor) -> Tensor:
        # transformers' own forward of a hybrid takes squares of one size only
        dpt, neck = self.network.dpt, self.network.neck
        embedded = dpt.embeddings(pixels, interpolate_pos_encoding=True)
        hidden, taken = embedded.last_hidden_states, list(embedded.intermediate_activations)
        layers = dpt.encoder.layer
        for index, layer in enumerate(layers):
            hidden = layer(hidden)
            if index in readouts(len(layers)):
                taken.append(hidden)
        rows, columns = pixels.shape[-2] // PATCH, pixels.shape[-1] // PATCH
        depth: Tensor = self.network.head(neck(taken, rows, columns))
        return depth[0]


def readouts(layers: int) -> tuple[int, int]:
    """The ViT's layers whose outputs are fused, from 0: the ninth and the twelfth of twelve."""
    return layers * 3 // 4 - 1, layers - 1


def input_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) that a picture is resized to before its depth is estimated.

    The side that needs less scaling becomes `side`; both are multiples of 32.
    """
    scales = side / height, side / width
    scale = min(scales, key=lambda each: abs(1 - each))
    return _multiple(height * scale), _multiple(width * scale)


def _multiple(length: float) -> int:
    return max(1, round(length / MULTIPLE)) * MULTIPLE


def depth_channels(
    estimator: DepthEstimator, pictures: Sequence[Image], size: tuple[int, int]
) -> Tensor:
    """Each picture's depth from -1 to 1: (B, 1, *size), with `size` (height, width) in cells."""
    depths: dict[int, Tensor] = {}
    for picture in pictures:
        if id(picture) not in depths:
            depths[id(picture)] = _stretched(estimator(to_floats(picture)), size)
    return torch.cat([depths[id(picture)] for picture in pictures])


def _stretched(depth: Tensor, size: tuple[int, int]) -> Tensor:
    cells = interpolate(depth[None, None], size, mode="bicubic", align_corners=False)
    low, high = torch.aminmax(cells)
    # where everything is equally far A1111 divides by zero
    return 2 * (cells - low) / (high - low) - 1 if high > low else torch.zeros_like(cells)


def build_depth(
    architecture: DepthArchitecture, weights: Weights, device: torch.device
) -> DepthEstimator:
    """The estimator with the file's weights, in float32: it runs only once a picture.

    Raises `CheckpointError` naming the file and the tensor that is missing or misshapen.
    """
    from transformers.models.dpt.configuration_dpt import DPTConfig
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

    side = architecture.grid * PATCH
    config = DPTConfig(
        is_hybrid=True,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        intermediate_size=architecture.intermediate,
        layer_norm_eps=1e-6,
        image_size=side,
        patch_size=PATCH,
        reassemble_factors=(1, 1, 1, 0.5),
        neck_hidden_sizes=architecture.neck,
        fusion_hidden_size=architecture.fusion,
        backbone_featmap_shape=(
            1,
            architecture.stages[-1],
            architecture.grid,
            architecture.grid,
        ),
        backbone_config={
            "model_type": "bit",
            "embedding_size": architecture.stem,
            "hidden_sizes": architecture.stages,
            "depths": architecture.stage_blocks,
            "layer_type": "bottleneck",
            "global_padding": "same",
            "embedding_dynamic_padding": True,
            "out_features": ["stage1", "stage2", "stage3"],
        },
    )
    with torch.device("meta"):
        network = DPTForDepthEstimation(config)
    prefix = architecture.prefix
    network = filled_from_checkpoint(
        network, locate_dpt(architecture), prefix, weights, device, torch.float32
    )
    return DepthEstimator(network, side)
