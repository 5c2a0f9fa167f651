"""SDXL and its refiner: CLIP-L's and OpenCLIP-bigG's texts; sizes and crop in the vector."""

from collections.abc import Sequence
from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Networks,
    Shapes,
    TextArchitecture,
    infer_clip_text,
    infer_open_clip_text,
    infer_own_vae,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import (
    RefinerConditioner,
    XlConditioner,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.families.detection import all_of, has, takes_channels
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.image_input_builders import (
    by_channels,
    masked_picture,
)
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SDXL_LATENTS
from hexfusion.adapters.gpu.torch_backend.families.unet_head_width import infer_unet_by_head_width
from hexfusion.adapters.gpu.torch_backend.sampling.schedules import AYS_SDXL

TEXTS = "conditioner.embedders."

#: Numbers in the vector: original size, crop and target size; the refiner's, size, crop, score.
NUMBERS = 6
REFINER_NUMBERS = 5

has_both_texts = has(f"{TEXTS}1.model.ln_final.weight")
"""The rule that holds for SDXL and families derived from it, except the refiner."""


def infer_sdxl(shapes: Shapes) -> Networks:
    """Dimensions of an SDXL's networks: see `Family.infer`."""
    clip = infer_clip_text(shapes, f"{TEXTS}0.transformer.text_model.")
    open_clip = infer_open_clip_text(shapes, f"{TEXTS}1.model.", pools=True)
    return _networks(shapes, clip, open_clip, numbers=NUMBERS)


def _infer_refiner(shapes: Shapes) -> Networks:
    open_clip = infer_open_clip_text(shapes, f"{TEXTS}0.model.", pools=True)
    return _networks(shapes, open_clip, numbers=REFINER_NUMBERS)


def _networks(shapes: Shapes, *texts: TextArchitecture, numbers: int) -> Networks:
    return Networks(
        unet=infer_unet_by_head_width(shapes),
        vae=infer_own_vae(shapes),
        texts=tuple(replace(text, final_norm=False) for text in texts),
        numbers=numbers,
    )


def _both_clips(networks: Networks, encoders: Sequence[TextEncoder]) -> XlConditioner:
    return XlConditioner(*encoders)


def _open_clip(networks: Networks, encoders: Sequence[TextEncoder]) -> RefinerConditioner:
    return RefinerConditioner(*encoders)


SDXL = Family(
    name="SDXL",
    detect=has_both_texts,
    infer=infer_sdxl,
    latents=SDXL_LATENTS,
    prediction="epsilon",
    conditioner=_both_clips,
    image_input=by_channels(rounded=True),
    own_noise_table=False,
    align_your_steps=AYS_SDXL,
    medvram_sdxl=True,
)

SDXL_INPAINTING = replace(
    SDXL,
    name="SDXL inpainting",
    detect=all_of(has_both_texts, takes_channels(9)),
    image_input=masked_picture(rounded=True),
)

REFINER = replace(
    SDXL,
    name="SDXL refiner",
    detect=has(f"{TEXTS}0.model.ln_final.weight"),
    infer=_infer_refiner,
    conditioner=_open_clip,
)
