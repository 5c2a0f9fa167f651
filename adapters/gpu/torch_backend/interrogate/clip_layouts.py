"""Renaming CLIP's tensors from the layouts of its files to transformers'.

OpenAI's and OpenCLIP's keep query, key and value in one matrix, one below the other, and multiply
by their projections from the right (Radford et al. 2021, arXiv:2103.00020).
"""

import re

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.filling import StateDict
from hexfusion.domain.errors import CheckpointError

_TOP = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # transformers' spelling
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_TURNED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)$")
#: Tensors of OpenAI's archive that are no weights: dimensions and masks.
_NEEDLESS = ("input_resolution", "context_length", "vocab_size", "attn_mask", "position_ids")


def by_transformers_names(state: StateDict, file: str) -> dict[str, Tensor]:
    """The tensors by transformers' names.

    Raises `CheckpointError` unless they are of a CLIP with a text and a vision transformer.
    """
    kept = {name: each for name, each in state.items() if not name.endswith(_NEEDLESS)}
    if "vision_model.embeddings.class_embedding" in kept:
        return kept
    if "visual.class_embedding" not in kept or "token_embedding.weight" not in kept:
        raise CheckpointError(file, "is no CLIP with both halves, text and vision transformer")
    named: dict[str, Tensor] = {}
    for name, tensor in kept.items():
        if name in _TOP:
            named[_TOP[name]] = tensor
        elif name in _TURNED:
            turned = tensor.t().contiguous() if tensor.dim() == 2 else tensor
            named[_TURNED[name]] = turned
        elif block := _BLOCK.match(name):
            named |= _of_block(block, tensor)
        else:
            named[name] = tensor  # `fill_module` will report it
    return named


def _of_block(block: re.Match[str], tensor: Tensor) -> dict[str, Tensor]:
    visual, number, part, kind = block.groups()
    layer = f"{'vision' if visual else 'text'}_model.encoder.layers.{number}"
    if part == "attn.in_proj":
        thirds = zip("qkv", tensor.chunk(3), strict=True)
        return {f"{layer}.self_attn.{each}_proj.{kind}": third for each, third in thirds}
    return {f"{layer}.{_PARTS.get(part, part)}.{kind}": tensor}
