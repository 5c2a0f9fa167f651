"""UNets from SD2 on: attention heads are 64 channels wide, so their number follows from that."""

from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Shapes,
    UNetArchitecture,
    infer_unet,
)

WIDTH = 64


def infer_unet_by_head_width(shapes: Shapes) -> UNetArchitecture:
    """`infer_unet` with heads of 64 channels on every level."""
    unet = infer_unet(shapes)
    heads = tuple(max(1, channels // WIDTH) for channels in unet.channels)
    return replace(unet, heads=heads)
