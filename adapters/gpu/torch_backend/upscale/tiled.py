"""Upscaling a picture by a network, whole or in tiles. Source: spec images.md 9.3 and 9.4."""

import threading

import numpy as np
import torch
from PIL.Image import Image, fromarray
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.upscale.upscaling_network import UpscalingNetwork
from hexfusion.application.ports.inference import Verdict
from hexfusion.application.ports.upscale import Advance
from hexfusion.domain.errors import NotANumber
from hexfusion.domain.tiles import stepped_starts
from hexfusion.domain.upscalers import Tiling


def run_whole(network: UpscalingNetwork, picture: Image, turn: threading.Lock) -> Image:
    """An RGB picture upscaled in one call, holding the device's lock `turn`."""
    return to_picture(_call(network, to_pixels(picture), turn))


def run_in_tiles(
    network: UpscalingNetwork,
    picture: Image,
    tiling: Tiling,
    turn: threading.Lock,
    advance: Advance,
) -> Image:
    """An RGB picture upscaled in overlapping tiles, whose results are averaged.

    `tiling` has size and overlap in pixels; size 0 upscales it whole. `advance` is called after
    each tile; if it stops the job, `picture` itself is returned. Raises `NotANumber`.
    """
    pixels, scale = to_pixels(picture), network.scale
    height, width = pixels.shape[-2:]
    size = min(tiling.size, height, width)
    if size <= 0:
        larger = to_picture(_call(network, pixels, turn))
        return picture if advance(1, 1) is not Verdict.CONTINUE else larger
    overlap = min(tiling.overlap, size - 1)  # where the picture is narrower than the overlap
    rows = stepped_starts(height, size, overlap)
    columns = stepped_starts(width, size, overlap)
    total = torch.zeros(1, 3, height * scale, width * scale)
    count = torch.zeros(1, 1, height * scale, width * scale)
    of, done = len(rows) * len(columns), 0
    for y in rows:
        for x in columns:
            tile = pixels[..., y : y + size, x : x + size]
            at = (
                ...,
                slice(y * scale, (y + size) * scale),
                slice(x * scale, (x + size) * scale),
            )
            total[at] += _call(network, tile, turn)
            count[at] += 1
            done += 1
            if advance(done, of) is not Verdict.CONTINUE:
                return picture
    return to_picture(total.div_(count))


def _call(network: UpscalingNetwork, pixels: Tensor, turn: threading.Lock) -> Tensor:
    """Run the network on pixels (1, 3, H, W), 0 to 1; float32 on the CPU. Raises `NotANumber`."""
    with turn, torch.inference_mode():
        made = network.run(pixels.to(network.device, network.dtype)).float().cpu().clamp_(0, 1)
    if made.isnan().any():
        message = f"the {network.architecture} network yields NaN in {network.dtype}; try --no-half"
        raise NotANumber(message)
    return made


def to_pixels(picture: Image) -> Tensor:
    """A picture as BGR pixels (1, 3, H, W), 0 to 1.

    A1111 uses this order for every network, whichever it was trained on.
    """
    pixels = torch.from_numpy(np.array(picture)[:, :, ::-1].copy())
    return pixels.permute(2, 0, 1).unsqueeze(0).float().div_(255)


def to_picture(pixels: Tensor) -> Image:
    """The inverse of `to_pixels`; levels are rounded half to even."""
    levels = pixels.squeeze(0).clamp(0, 1).mul(255).round().to(torch.uint8)
    return fromarray(levels.permute(1, 2, 0).flip(-1).contiguous().numpy())
