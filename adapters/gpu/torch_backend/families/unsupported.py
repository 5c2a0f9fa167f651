"""Families that are recognised but not supported: SD3 and Alt-Diffusion."""

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET
from hexfusion.adapters.gpu.torch_backend.families.detection import has
from hexfusion.adapters.gpu.torch_backend.families.family import Unsupported

SD3 = Unsupported(name="SD3", detect=has(f"{UNET}x_embedder.proj.weight"))

ALT_DIFFUSION = Unsupported(
    name="Alt-Diffusion",
    detect=has("cond_stage_model.roberta.embeddings.word_embeddings.weight"),
)
