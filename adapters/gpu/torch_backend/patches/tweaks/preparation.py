"""Preparing UNets and VAEs for tweaks, once when built (spec sampling.md 7, scripts.md 14)."""

import re
from typing import TYPE_CHECKING

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.seamless import make_seamless
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.self_attention import (
    UNetSelfAttention,
    VaeSelfAttention,
    match_tokens,
    note_grid,
)
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.upcast_attention import let_attention_widen

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_TRANSFORMER = re.compile(
    r"(?P<side>down|up|mid)_block(?:s\.(?P<index>\d+))?\.attentions\.\d+"
    r"\.transformer_blocks\.(?P<block>\d+)"
)
MIDDLE = -1


def prepare_unet(unet: "UNet2DConditionModel") -> None:
    """Make a UNet support `computing`. Idempotent; outside of it results do not change."""
    from diffusers.models.attention import BasicTransformerBlock

    make_seamless(unet)
    let_attention_widen(unet)
    levels = len(unet.down_blocks)
    sdxl = not hasattr(unet.down_blocks[0], "attentions")
    for name, block in unet.named_modules():
        if not isinstance(block, BasicTransformerBlock):
            continue
        attention = block.attn1
        if isinstance(attention.processor, UNetSelfAttention):
            continue
        level, number = _place(name, levels)
        depth = hypertile_depth(level, number, sdxl=sdxl)
        attention.set_processor(UNetSelfAttention(attention.processor, depth))
        if level == 0:  # tokens are merged at the latent's full resolution only
            block.norm1.register_forward_pre_hook(match_tokens)
            if number == 0:
                transformer = unet.get_submodule(name.partition(".transformer_blocks.")[0])
                transformer.register_forward_pre_hook(note_grid)


def prepare_vae(vae: "AutoencoderKL") -> None:
    """Make an autoencoder support `computing`. Idempotent, as `prepare_unet`."""
    make_seamless(vae)
    let_attention_widen(vae)
    for attention in vae.decoder.mid_block.attentions:
        if attention is not None and not isinstance(attention.processor, VaeSelfAttention):
            attention.set_processor(VaeSelfAttention(attention.processor))


def hypertile_depth(level: int, block: int, *, sdxl: bool) -> int | None:
    """The depth of a transformer block as hypertile counts it; None where it is never tiled.

    `level` counts resolutions from the latent's own, or is `MIDDLE`; `block` counts within one
    transformer. SDXL begins at level 1, and counts only its second block there as deeper.
    """
    if not sdxl:
        return 3 if level == MIDDLE else level
    if level == MIDDLE:
        return 2
    if level == 1:
        return block if block < 2 else None
    return 1


def _place(name: str, levels: int) -> tuple[int, int]:
    """(level, block) of a transformer block by its name in diffusers' UNet."""
    found = _TRANSFORMER.fullmatch(name)
    if found is None:
        raise ValueError(f"a transformer block where none is expected: {name}")
    block = int(found["block"])
    if found["side"] == "mid":
        return MIDDLE, block
    index = int(found["index"])
    return (index if found["side"] == "down" else levels - 1 - index), block
