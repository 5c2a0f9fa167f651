"""UNets from SD2 on: a level has as many attention heads of one width as fit."""

from dataclasses import replace

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import (
    Shapes,
    UNetArchitecture,
    infer_unet,
)

WIDTH = 64


def infer_unet_of_wide_heads(shapes: Shapes) -> UNetArchitecture:
    """See `infer_unet`."""
    unet = infer_unet(shapes)
    heads = tuple(max(1, channels // WIDTH) for channels in unet.channels)
    return replace(unet, heads=heads)
