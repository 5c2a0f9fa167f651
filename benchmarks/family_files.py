"""Checkpoints of every family at their true size, of random weights: nothing released can be had.

Names and shapes are those of the published files (tests/.../layouts), and so are the values of the
shrunken ones; the values at true size are one random block over and over, as loud as those, so that
gigabytes are written nearly as fast as the disk takes them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import STATISTICS
from tests.adapters.gpu.torch_backend.layouts import (
    REFINER,
    SD2,
    SD15,
    SDXL,
    SMALL,
    SMALL_REFINER,
    SMALL_SD2,
    SMALL_SDXL,
    SMALL_SSD_1B,
    SSD_1B,
    Layout,
    distribution,
    random_tensors,
    refiner_layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
)
from tests.adapters.gpu.torch_backend.layouts_vision import (
    SMALL_DEPTH,
    SMALL_UNCLIP_H,
    SMALL_UNCLIP_L,
    depth_layout,
    unclip_h_layout,
    unclip_l_layout,
)

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

#: What a UNet that predicts v may answer on average, and one that predicts noise may not.
_ALWAYS = -2.0
_ANSWER = "model.diffusion_model.out.2.bias"

_BLOCK = 1 << 22
"""Elements in the block that comes again and again."""


@dataclass(frozen=True)
class Kind:
    """A row of the table. `family` is what it must be recognised as, `small` the same shrunken.

    With `statistics` it needs a file of those of its image embeddings beside it.
    """

    name: str
    family: str
    layout: Callable[[], Layout]
    small: Callable[[], Layout]
    prediction: str = "epsilon"
    from_picture: bool = False
    masked: bool = False
    statistics: bool = False


def _wider(sizes: Mapping[str, dict], channels: int) -> dict[str, dict]:
    return {**sizes, "unet": {**sizes["unet"], "in_channels": channels}}


def _sd1(channels: int) -> tuple[Callable[[], Layout], Callable[[], Layout]]:
    return (
        lambda: sd1_layout(**{**SD15, "in_channels": channels}),
        lambda: sd1_layout(**{**SMALL, "in_channels": channels}),
    )


KINDS = (
    Kind("SD1", "SD1", *_sd1(4)),
    Kind("SD1 inpainting", "SD1 inpainting", *_sd1(9), from_picture=True, masked=True),
    Kind("instruct-pix2pix", "SD1 instruct-pix2pix", *_sd1(8), from_picture=True),
    Kind("SD2 base", "SD2", lambda: sd2_layout(**SD2), lambda: sd2_layout(**SMALL_SD2)),
    Kind(
        "SD2 768-v",
        "SD2",
        lambda: sd2_layout(**SD2),
        lambda: sd2_layout(**SMALL_SD2),
        prediction="v",
    ),
    Kind(
        "SD2 inpainting",
        "SD2 inpainting",
        lambda: sd2_layout(**_wider(SD2, 9)),
        lambda: sd2_layout(**_wider(SMALL_SD2, 9)),
        from_picture=True,
        masked=True,
    ),
    Kind("SD2 depth", "SD2 depth", depth_layout, lambda: SMALL_DEPTH, from_picture=True),
    Kind(
        "SD2 unCLIP-L",
        "SD2 unCLIP-L",
        unclip_l_layout,
        lambda: SMALL_UNCLIP_L,
        prediction="v",
        from_picture=True,
        statistics=True,
    ),
    Kind(
        "SD2 unCLIP-H",
        "SD2 unCLIP-H",
        unclip_h_layout,
        lambda: SMALL_UNCLIP_H,
        prediction="v",
        from_picture=True,
    ),
    Kind("SDXL", "SDXL", lambda: sdxl_layout(**SDXL), lambda: sdxl_layout(**SMALL_SDXL)),
    Kind(
        "SDXL inpainting",
        "SDXL inpainting",
        lambda: sdxl_layout(**_wider(SDXL, 9)),
        lambda: sdxl_layout(**_wider(SMALL_SDXL, 9)),
        from_picture=True,
        masked=True,
    ),
    Kind(
        "SDXL refiner",
        "SDXL refiner",
        lambda: refiner_layout(**REFINER),
        lambda: refiner_layout(**SMALL_REFINER),
    ),
    Kind("SSD-1B", "SSD-1B", lambda: sdxl_layout(**SSD_1B), lambda: sdxl_layout(**SMALL_SSD_1B)),
)


def by_name(name: str) -> Kind:
    """Raises `StopIteration` for an unknown one."""
    return next(each for each in KINDS if each.name == name)


def write_random(path: Path, kind: Kind, *dtypes: torch.dtype, small: bool = False) -> int:
    """A safetensors file of the kind's names and shapes; how many tensors it has.

    Of several `dtypes` tensors have one after the other. An unCLIP-L's statistics are written
    beside it.
    """
    layout = kind.small() if small else kind.layout()
    of = dict(zip(layout, cycle(dtypes), strict=False))
    if small:
        _write_small(path, kind, layout, of)
    else:
        _write_large(path, kind, layout, of)
    if kind.statistics:
        width = layout["embedder.model.visual.proj"][1]
        torch.save((torch.zeros(width), torch.ones(width)), path.parent / STATISTICS)
    return len(layout)


def _write_small(path: Path, kind: Kind, layout: Layout, of: Mapping[str, torch.dtype]) -> None:
    tensors = random_tensors(layout)
    if kind.prediction == "v":
        tensors[_ANSWER].fill_(_ALWAYS)
    save_file({name: tensor.to(of[name]) for name, tensor in tensors.items()}, path)


def _write_large(path: Path, kind: Kind, layout: Layout, of: Mapping[str, torch.dtype]) -> None:
    header: dict[str, object] = {}
    end = 0
    for name, shape in layout.items():
        begin, end = end, end + prod(shape) * of[name].itemsize
        entry = {"dtype": NAMES[of[name]], "shape": shape, "data_offsets": [begin, end]}
        header[name] = entry
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(1))
    with path.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, shape in layout.items():
            mean, spread = distribution(name, shape)
            if kind.prediction == "v" and name == _ANSWER:
                mean, spread = _ALWAYS, 0.0
            values = (block[: prod(shape)] * spread + mean).to(of[name])
            stream.writelines(_over_and_over(_bytes(values), prod(shape), of[name]))


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def _over_and_over(block: bytes, count: int, dtype: torch.dtype) -> Iterator[bytes]:
    left = count * dtype.itemsize
    while left > 0:
        yield block[:left]
        left -= len(block)
