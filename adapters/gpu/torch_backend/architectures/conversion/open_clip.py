"""CLIP models in OpenCLIP's layout: parameters of transformers' CLIP classes to tensors.

OpenAI's own image encoders have the same layout. Both are the transformer of Radford et al. 2021
(arXiv:2103.00020). OpenCLIP stacks query, key and value of an attention in one matrix, and its
projection matrices are transposed.
"""

from collections.abc import Mapping

from hexfusion.adapters.gpu.torch_backend.architectures.conversion import Locate, Origin

_TOP = {
    "embeddings.token_embedding.weight": Origin("token_embedding.weight"),
    "embeddings.position_embedding.weight": Origin("positional_embedding"),
    "final_layer_norm.weight": Origin("ln_final.weight"),
    "final_layer_norm.bias": Origin("ln_final.bias"),
    "text_projection.weight": Origin("text_projection", transposed=True),
}
_VISION_TOP = {
    "embeddings.class_embedding": Origin("class_embedding"),
    "embeddings.patch_embedding.weight": Origin("conv1.weight"),
    "embeddings.position_embedding.weight": Origin("positional_embedding"),
    # transformers' spelling
    "pre_layrnorm.weight": Origin("ln_pre.weight"),
    "pre_layrnorm.bias": Origin("ln_pre.bias"),
    "post_layernorm.weight": Origin("ln_post.weight"),
    "post_layernorm.bias": Origin("ln_post.bias"),
    "visual_projection.weight": Origin("proj", transposed=True),
}
_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_ATTENTION = {"self_attn.q_proj": 0, "self_attn.k_proj": 1, "self_attn.v_proj": 2}


def locate_open_clip(prefix: str) -> Locate:
    """Locates parameters of `CLIPTextModel`, with or without projection, under `prefix`."""
    return _locate(prefix, "text_model.", _TOP)


def locate_open_clip_vision(prefix: str) -> Locate:
    """Locates parameters of `CLIPVisionModelWithProjection`, under `prefix`."""
    return _locate(prefix, "vision_model.", _VISION_TOP)


def _locate(prefix: str, inner: str, top: Mapping[str, Origin]) -> Locate:
    def locate(parameter: str) -> Origin:
        name = parameter.removeprefix(inner)
        if name in top:
            origin = top[name]
            return Origin(prefix + origin.name, transposed=origin.transposed)
        index, _, rest = name.removeprefix("encoder.layers.").partition(".")
        module, _, kind = rest.rpartition(".")
        block = f"{prefix}transformer.resblocks.{index}."
        if module in _ATTENTION:
            return Origin(f"{block}attn.in_proj_{kind}", third=_ATTENTION[module])
        return Origin(f"{block}{_LAYER[module]}.{kind}")

    return locate
