"""Layers of a CLIP text model: transformers' path to the path in the file."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import CLIP_TEXT


def clip_text_modules(prefix: str = CLIP_TEXT) -> dict[str, str]:
    """The file holds transformers' own names under a prefix, and always with `text_model.`, which
    transformers dropped in version 5.
    """
    parts = ("embeddings", "encoder", "final_layer_norm")
    return {ours + part: prefix + part for part in parts for ours in ("", "text_model.")}
