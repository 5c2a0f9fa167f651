"""CLIP text models: transformers' module paths to the paths in the file."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import CLIP_TEXT


def clip_text_modules(prefix: str = CLIP_TEXT) -> dict[str, str]:
    """The map for a file with transformers' names under `prefix`.

    Paths may start with `text_model.`, as before transformers 5, or not.
    """
    parts = ("embeddings", "encoder", "final_layer_norm")
    return {ours + part: prefix + part for part in parts for ours in ("", "text_model.")}
