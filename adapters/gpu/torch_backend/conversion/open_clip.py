"""Parameters of a text model in OpenCLIP's layout, found for transformers' CLIP classes.

Both are the transformer of Radford et al. 2021 (arXiv:2103.00020). OpenCLIP keeps query, key and
value of an attention in one matrix, one below the other, and multiplies by its projection from
the right.
"""

from adapters.gpu.torch_backend.conversion import Locate, Origin

_TOP = {
    "embeddings.token_embedding.weight": Origin("token_embedding.weight"),
    "embeddings.position_embedding.weight": Origin("positional_embedding"),
    "final_layer_norm.weight": Origin("ln_final.weight"),
    "final_layer_norm.bias": Origin("ln_final.bias"),
    "text_projection.weight": Origin("text_projection", transposed=True),
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
    """For `CLIPTextModel` and `CLIPTextModelWithProjection`, of tensors named from `prefix` on."""

    def locate(parameter: str) -> Origin:
        name = parameter.removeprefix("text_model.")
        if name in _TOP:
            origin = _TOP[name]
            return Origin(prefix + origin.name, transposed=origin.transposed)
        index, _, rest = name.removeprefix("encoder.layers.").partition(".")
        module, _, kind = rest.rpartition(".")
        block = f"{prefix}transformer.resblocks.{index}."
        if module in _ATTENTION:
            return Origin(f"{block}attn.in_proj_{kind}", third=_ATTENTION[module])
        return Origin(f"{block}{_LAYER[module]}.{kind}")

    return locate
