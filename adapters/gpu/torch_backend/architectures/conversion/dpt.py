"""MiDaS' DPT-hybrid: parameters of transformers' `DPTForDepthEstimation` to tensors in the file.

Ranftl et al. 2021 (arXiv:2103.13413). The file has the original's names: a timm ViT on patches of a
ResNet's features under `pretrained`, and the fusion layers under `scratch`. Query, key and value of
an attention are one matrix in the file.
"""

from collections.abc import Mapping

from hexfusion.adapters.gpu.torch_backend.architectures.conversion import (
    Locate,
    Origin,
    original_name,
)
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import DepthArchitecture

_THIRDS = {"query": 0, "key": 1, "value": 2}

_HYBRID = "pretrained.model.patch_embed."
_BACKBONE = "dpt.embeddings.backbone.bit."


def locate_dpt(depth: DepthArchitecture) -> Locate:
    """Locates the parameters of that network."""
    modules = _modules(depth)

    def locate(parameter: str) -> Origin:
        module, _, kind = parameter.rpartition(".")
        head, _, part = module.rpartition(".")
        if part in _THIRDS:
            index = head.removeprefix("dpt.encoder.layer.").partition(".")[0]
            name = f"pretrained.model.blocks.{index}.attn.qkv.{kind}"
            return Origin(depth.prefix + name, third=_THIRDS[part])
        return Origin(depth.prefix + original_name(modules, parameter))

    return locate


def _modules(depth: DepthArchitecture) -> Mapping[str, str]:
    names = {
        "dpt.embeddings.cls_token": "pretrained.model.cls_token",
        "dpt.embeddings.position_embeddings": "pretrained.model.pos_embed",
        "dpt.embeddings.projection": f"{_HYBRID}proj",
        "dpt.layernorm": "pretrained.model.norm",
        f"{_BACKBONE}embedder.convolution": f"{_HYBRID}backbone.stem.conv",
        f"{_BACKBONE}embedder.norm": f"{_HYBRID}backbone.stem.norm",
        "neck.reassemble_stage.layers.2.projection": "pretrained.act_postprocess3.3",
        "neck.reassemble_stage.layers.3.projection": "pretrained.act_postprocess4.3",
        "neck.reassemble_stage.layers.3.resize": "pretrained.act_postprocess4.4",
        "neck.reassemble_stage.readout_projects.2.0": "pretrained.act_postprocess3.0.project.0",
        "neck.reassemble_stage.readout_projects.3.0": "pretrained.act_postprocess4.0.project.0",
        "head.head": "scratch.output_conv",
    }
    for stage, blocks in enumerate(depth.stage_blocks):
        for block in range(blocks):
            ours = f"{_BACKBONE}encoder.stages.{stage}.layers.{block}"
            names[ours] = f"{_HYBRID}backbone.stages.{stage}.blocks.{block}"
    for layer in range(depth.layers):
        ours, theirs = f"dpt.encoder.layer.{layer}", f"pretrained.model.blocks.{layer}"
        names |= {
            f"{ours}.layernorm_before": f"{theirs}.norm1",
            f"{ours}.attention.output.dense": f"{theirs}.attn.proj",
            f"{ours}.layernorm_after": f"{theirs}.norm2",
            f"{ours}.intermediate.dense": f"{theirs}.mlp.fc1",
            f"{ours}.output.dense": f"{theirs}.mlp.fc2",
        }
    for level in range(4):
        # transformers counts from the lowest resolution, which is fused first; the file from the
        # highest
        ours, theirs = f"neck.fusion_stage.layers.{3 - level}", f"scratch.refinenet{level + 1}"
        names[f"neck.convs.{level}"] = f"scratch.layer{level + 1}_rn"
        names[f"{ours}.projection"] = f"{theirs}.out_conv"
        for unit in (1, 2):
            for conv in (1, 2):
                residual = f"{ours}.residual_layer{unit}.convolution{conv}"
                names[residual] = f"{theirs}.resConfUnit{unit}.conv{conv}"
    return names
