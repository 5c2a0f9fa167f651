"""Stable Diffusion 1: CLIP-L's texts, eight attention heads on every level."""

from collections.abc import Sequence
from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Networks,
    Shapes,
    infer_clip_text,
    infer_own_vae,
    infer_unet,
)
from hexfusion.adapters.gpu.torch_backend.conditioning.conditioners import ClipConditioner
from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.families.detection import takes_channels
from hexfusion.adapters.gpu.torch_backend.families.family import Family
from hexfusion.adapters.gpu.torch_backend.families.image_input_builders import (
    edited_picture,
    masked_picture,
    no_image_input,
)
from hexfusion.adapters.gpu.torch_backend.families.latent_spaces import SD1_LATENTS

UNET_HEADS = 8


def infer_sd1(shapes: Shapes) -> Networks:
    """Dimensions of an SD1's networks: see `Family.infer`."""
    unet = infer_unet(shapes)
    return Networks(
        unet=replace(unet, heads=(UNET_HEADS,) * len(unet.channels)),
        vae=infer_own_vae(shapes),
        texts=(infer_clip_text(shapes),),
    )


def _clip(networks: Networks, encoders: Sequence[TextEncoder]) -> ClipConditioner:
    return ClipConditioner(*encoders)


SD1 = Family(
    name="SD1",
    detect=takes_channels(4),
    infer=infer_sd1,
    latents=SD1_LATENTS,
    prediction="epsilon",
    conditioner=_clip,
    image_input=no_image_input,
)

SD1_INPAINTING = replace(
    SD1, name="SD1 inpainting", detect=takes_channels(9), image_input=masked_picture()
)

INSTRUCT_PIX2PIX = replace(
    SD1, name="SD1 instruct-pix2pix", detect=takes_channels(8), image_input=edited_picture
)
