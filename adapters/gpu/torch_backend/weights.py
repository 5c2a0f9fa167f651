"""Reading the tensors of a checkpoint file, and nothing else in it.

Safetensors files are mapped into memory; `.ckpt` and `.pt` files go through torch's weights-only
loader, so no code from a file ever runs. Source: spec networks.md 1.4.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from domain.errors import CheckpointError

#: The longest header the safetensors format allows, in bytes.
MAX_HEADER = 100_000_000

_OLD_TEXT_PREFIX = "cond_stage_model.transformer."
_TEXT_PREFIX = "cond_stage_model.transformer.text_model."
_XL_TEXT = "conditioner.embedders.0."
_SD2_TEXT = "cond_stage_model."
_OLD_TEXT_PARTS = ("embeddings.", "encoder.", "final_layer_norm.")


@dataclass(frozen=True, eq=False)
class Weights(Mapping[str, Tensor]):
    """The tensors of one file by their original names, still on the CPU and as stored.

    `metadata` is what a safetensors header says beside them; empty for other files.
    """

    file: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        """The tensor, or a `CheckpointError` naming the file and the missing tensor."""
        try:
            return self.tensors[name]
        except KeyError:
            raise CheckpointError(self.file, "is missing", name) from None

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def read_weights(
    path: Path, *, mmap: bool = True, inside: Sequence[str] = ("state_dict",)
) -> Weights:
    """All tensors of a `.safetensors`, `.ckpt` or `.pt` file.

    With `mmap` the tensors are views of the file until they are copied. What a torch file holds
    under the first of the names `inside` is unwrapped, and old text-encoder names are rewritten.
    Raises `CheckpointError` for a file that is missing, truncated, garbage, or holds anything but
    plain tensors.
    """
    file = str(path)
    metadata: Mapping[str, str] = {}
    try:
        if path.suffix.lower() == ".safetensors":
            metadata = check_safetensors_header(path)
            tensors = _read_safetensors(path, mmap)
        else:
            tensors = _read_torch(path, mmap, inside)
    except OSError as error:
        raise CheckpointError(file, f"cannot be read: {error.strerror or error}") from error
    if not tensors:
        raise CheckpointError(file, "holds no tensors")
    named = {modern_name(name): tensor for name, tensor in tensors.items()}
    if _is_sd2_in_new_layout(named):
        named = {_sd2_name(name): tensor for name, tensor in named.items()}
    return Weights(file, named, metadata)


def modern_name(name: str) -> str:
    """Today's name of a tensor: old SD1 files lack `text_model.` in the text encoder's names."""
    if name.startswith(_OLD_TEXT_PREFIX):
        rest = name.removeprefix(_OLD_TEXT_PREFIX)
        if rest.startswith(_OLD_TEXT_PARTS):
            return _TEXT_PREFIX + rest
    return name


def _is_sd2_in_new_layout(tensors: Mapping[str, Tensor]) -> bool:
    """SD2-turbo is laid out as SDXL's refiner; the width of its text encoder tells them apart."""
    norm = tensors.get(f"{_XL_TEXT}model.ln_final.weight")
    return norm is not None and norm.shape == (1024,)


def _sd2_name(name: str) -> str:
    return _SD2_TEXT + name.removeprefix(_XL_TEXT) if name.startswith(_XL_TEXT) else name


def check_safetensors_header(path: Path) -> dict[str, str]:
    """The header's metadata. Raises `CheckpointError` unless the header is sound and all its
    tensors are in the file.

    The library would refuse such files too, but without saying which tensor is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        header, data_size = _read_header(stream, str(path), size)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        end = _end_offset(entry)
        if end is None:
            raise CheckpointError(str(path), "has a malformed header entry", name)
        if end > data_size:
            message = f"ends at byte {end} of the data, but the file holds {data_size}: truncated"
            raise CheckpointError(str(path), message, name)
    metadata = header.get("__metadata__")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    return {key: value for key, value in texts if isinstance(value, str)}


def _read_header(stream: BinaryIO, file: str, size: int) -> tuple[dict[str, object], int]:
    if size < 8:
        raise CheckpointError(file, f"is {size} bytes long: not a safetensors file")
    length = int.from_bytes(stream.read(8), "little")
    if length > MAX_HEADER:
        raise CheckpointError(file, f"claims a header of {length} bytes: not a safetensors file")
    if length > size - 8:
        raise CheckpointError(file, f"is truncated within its header of {length} bytes")
    try:
        header = json.loads(stream.read(length))
    except (ValueError, RecursionError):
        raise CheckpointError(file, "has a header that is not JSON") from None
    if not isinstance(header, dict):
        raise CheckpointError(file, "has a header that is not a JSON object")
    return header, size - 8 - length


def _end_offset(entry: object) -> int | None:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    match offsets:
        case [int(start), int(end)] if 0 <= start <= end:
            return end
    return None


def _read_safetensors(path: Path, mmap: bool) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        return load_file(path) if mmap else load(path.read_bytes())
    except SafetensorError as error:
        raise CheckpointError(str(path), f"is not a sound safetensors file: {error}") from error


def _read_torch(path: Path, mmap: bool, inside: Sequence[str]) -> dict[str, Tensor]:
    content = _load_torch(path, mmap)
    if isinstance(content, dict):
        wrapped = (content[name] for name in inside if isinstance(content.get(name), dict))
        content = next(wrapped, content)
    if not isinstance(content, dict):
        raise CheckpointError(str(path), f"holds a {type(content).__name__}, not named tensors")
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def read_torch_file(path: Path) -> object:
    """Whatever a `.pt` or `.bin` file holds, of tensors and plain values alone.

    Raises `CheckpointError` for a file that is missing, damaged, or holds more than that.
    """
    try:
        return _load_torch(path, mmap=False)
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror or error}") from error


def _load_torch(path: Path, mmap: bool) -> object:
    import pickle

    try:
        return _load_weights_only(path, mmap)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        message = "holds more than plain tensors, or is damaged; convert it to safetensors"
        raise CheckpointError(str(path), message) from error
    except Exception as error:  # torch.load raises whatever a damaged archive makes it stumble on
        raise CheckpointError(str(path), "is not a sound torch file") from error


def _load_weights_only(path: Path, mmap: bool) -> object:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"  # files older than torch 1.6 cannot be mapped
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipped)
