"""SD2 depth: conditioned on a depth map, by a depth estimator in the file."""

from dataclasses import replace

import torch

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Networks, Shapes
from hexfusion.adapters.gpu.torch_backend.architectures.vision_dimensions import DEPTH, infer_depth
from hexfusion.adapters.gpu.torch_backend.conditioning.depth import build_depth
from hexfusion.adapters.gpu.torch_backend.conditioning.image_inputs import Depth
from hexfusion.adapters.gpu.torch_backend.families.detection import (
    all_of,
    any_of,
    has,
    takes_channels,
)
from hexfusion.adapters.gpu.torch_backend.families.sd2 import SD2, has_sd2_text, infer_sd2
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.domain.errors import CheckpointError

READOUT = f"{DEPTH}pretrained.act_postprocess3.0.project.0.bias"


def _infer(shapes: Shapes) -> Networks:
    if READOUT not in shapes:
        message = "is missing: the depth estimator of this depth model is not in the file"
        raise CheckpointError(shapes.file, message, READOUT)
    return replace(infer_sd2(shapes), depth=infer_depth(shapes))


def _depth(networks: Networks, weights: Weights, device: torch.device) -> Depth:
    assert networks.depth is not None, "inferred for this family"
    return Depth(build_depth(networks.depth, weights, device))


SD2_DEPTH = replace(
    SD2,
    name="SD2 depth",
    detect=any_of(has(READOUT), all_of(has_sd2_text, takes_channels(5))),
    infer=_infer,
    prediction="epsilon",
    image_input=_depth,
)
