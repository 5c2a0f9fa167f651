"""Segmind's SSD-1B: SDXL with blocks pruned, including the middle block's attention."""

from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET
from hexfusion.adapters.gpu.torch_backend.families.detection import all_of, lacks
from hexfusion.adapters.gpu.torch_backend.families.sdxl import SDXL, has_both_texts

SSD_1B = replace(
    SDXL,
    name="SSD-1B",
    detect=all_of(
        has_both_texts, lacks(f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q.weight")
    ),
)
