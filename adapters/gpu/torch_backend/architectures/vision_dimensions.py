"""Inferring the dimensions of image encoders and depth estimators in checkpoints.

From names and shapes only, as in `dimensions`. Source: spec networks.md 1.4, images.md 6.
"""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    CLIP_HEAD_WIDTH,
    DepthArchitecture,
    Shapes,
    VisionArchitecture,
    convolution,
    matrix,
)
from hexfusion.domain.errors import CheckpointError

VISION = "embedder.model.visual."
DEPTH = "depth_model.model."

#: OpenCLIP's ViT-H has wider heads than OpenAI's ViT-L.
OPEN_CLIP_HEAD_WIDTH = 80
STAGES = 3


def infer_vision(shapes: Shapes, *, open_clip: bool) -> VisionArchitecture:
    """Infer a CLIP image encoder from `embedder.model.visual.*`: ViT-H if `open_clip`, else ViT-L.

    Raises `CheckpointError` naming the tensor that is missing or misshapen.
    """
    width, patch = convolution(shapes, f"{VISION}conv1.weight")[0], VISION + "conv1.weight"
    positions = matrix(shapes, f"{VISION}positional_embedding")[0]
    side = round((positions - 1) ** 0.5)
    if side * side + 1 != positions:
        message = f"has {positions} positions, which are no square of patches and a class"
        raise CheckpointError(shapes.file, message, f"{VISION}positional_embedding")
    return VisionArchitecture(
        prefix=VISION,
        width=width,
        layers=shapes.count(VISION + "transformer.resblocks.{}.mlp.c_fc.weight"),
        heads=max(1, width // (OPEN_CLIP_HEAD_WIDTH if open_clip else CLIP_HEAD_WIDTH)),
        intermediate=matrix(shapes, f"{VISION}transformer.resblocks.0.mlp.c_fc.weight")[0],
        activation="gelu" if open_clip else "quick_gelu",
        patch=shapes[patch][2],
        side=side * shapes[patch][2],
        projection=matrix(shapes, f"{VISION}proj")[1],
    )


def infer_depth(shapes: Shapes) -> DepthArchitecture:
    """Infer a DPT-hybrid from `depth_model.model.*`. Raises as `infer_vision`."""
    backbone = f"{DEPTH}pretrained.model.patch_embed.backbone."
    stages = [f"{backbone}stages.{stage}.blocks." for stage in range(STAGES)]
    (_, positions, width) = _three(shapes, f"{DEPTH}pretrained.model.pos_embed")
    neck = [convolution(shapes, f"{DEPTH}scratch.layer{i}_rn.weight") for i in (1, 2, 3, 4)]
    return DepthArchitecture(
        prefix=DEPTH,
        stem=convolution(shapes, f"{backbone}stem.conv.weight")[0],
        stages=tuple(convolution(shapes, f"{each}0.conv3.weight")[0] for each in stages),
        stage_blocks=tuple(shapes.count(each + "{}.conv3.weight") for each in stages),
        width=width,
        layers=shapes.count(DEPTH + "pretrained.model.blocks.{}.mlp.fc1.weight"),
        heads=max(1, width // CLIP_HEAD_WIDTH),
        intermediate=matrix(shapes, f"{DEPTH}pretrained.model.blocks.0.mlp.fc1.weight")[0],
        grid=round((positions - 1) ** 0.5),
        neck=tuple(inputs for _, inputs in neck),
        fusion=neck[0][0],
    )


def _three(shapes: Shapes, name: str) -> tuple[int, int, int]:
    shape = shapes[name]
    if len(shape) != 3:
        raise CheckpointError(shapes.file, f"has shape {list(shape)}, not three axes", name)
    return shape[0], shape[1], shape[2]
