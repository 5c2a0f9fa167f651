"""Stable Diffusion 2: OpenCLIP-H's texts; epsilon or v prediction is measured on the UNet."""

from collections.abc import Sequence
from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    UNET,
    Networks,
    Shapes,
    infer_open_clip_text,
    infer_own_vae,
)
from hexfusion.adapters.gpu.torch_backend.architectures.vision_dimensions import VISION
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import OpenClipConditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.families.detection import all_of, has, takes_channels
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.image_input_builders import (
    by_channels,
    masked_picture,
)
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SD1_LATENTS
from hexfusion.adapters.gpu.torch_backend.families.unet_head_width import infer_unet_by_head_width
from hexfusion.domain.errors import CheckpointError

TEXT = "cond_stage_model.model."

#: Files converted from diffusers lack the last layer, which is not used.
TEXT_LAYERS = 24

has_sd2_text = has(f"{TEXT}transformer.resblocks.0.attn.in_proj_weight")
"""The rule that holds for SD2 and all families derived from it."""


def infer_sd2(shapes: Shapes) -> Networks:
    """Dimensions of an SD2's networks: see `Family.infer`."""
    if f"{UNET}label_emb.0.0.weight" in shapes and f"{VISION}proj" not in shapes:
        message = "is missing: the image encoder of this unCLIP is not in the file"
        raise CheckpointError(shapes.file, message, f"{VISION}proj")
    text = infer_open_clip_text(shapes, TEXT, pools=False)
    return Networks(
        unet=infer_unet_by_head_width(shapes),
        vae=infer_own_vae(shapes),
        texts=(replace(text, cut=text.layers == TEXT_LAYERS - 1),),
    )


def _open_clip(networks: Networks, encoders: Sequence[TextEncoder]) -> OpenClipConditioner:
    return OpenClipConditioner(*encoders, cut=networks.texts[0].cut)


SD2 = Family(
    name="SD2",
    detect=has_sd2_text,
    infer=infer_sd2,
    latents=SD1_LATENTS,
    prediction=None,
    conditioner=_open_clip,
    image_input=by_channels(),
    lora_open_clip=True,
)

SD2_INPAINTING = replace(
    SD2,
    name="SD2 inpainting",
    detect=all_of(has_sd2_text, takes_channels(9)),
    prediction="epsilon",
    image_input=masked_picture(),
)
