"""A safetensors file, read one tensor at a time.

The file is not mapped: while a checkpoint is loaded, memory holds its networks and one tensor,
rather than its networks and the whole file.
"""

import json
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.validation import regular_file_size
from hexfusion.domain.errors import CheckpointError

#: The longest header the safetensors format allows, in bytes.
MAX_HEADER = 100_000_000

#: Tensors in a file; the largest models have some thousands.
MOST_TENSORS = 100_000

_METADATA = "__metadata__"

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class _Place:
    """A tensor's offset in the file, dtype and shape."""

    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]


class SafetensorsFile(Mapping[str, Tensor]):
    """The tensors of a file by name, each read from disk at every access.

    `metadata` is the header's `__metadata__`. The file stays open, so a file that is replaced
    meanwhile is still read as it was. Safe to use from many threads. Raises `CheckpointError`,
    naming the file and the tensor, for a malformed or truncated file, and `OSError` where it cannot
    be read.
    """

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        size = regular_file_size(path)
        self._stream = path.open("rb", buffering=0)
        weakref.finalize(self, self._stream.close)
        self._lock = threading.Lock()
        header, begin = _read_header(self._stream, self.file, size)
        for name, entry in header.items():
            if name != _METADATA:
                _check_end(self.file, name, entry, size - begin)
        metadata = header.pop(_METADATA, None)
        texts = metadata.items() if isinstance(metadata, dict) else ()
        self.metadata = {key: value for key, value in texts if isinstance(value, str)}
        _check(path)
        self._places = {name: _place(self.file, name, each, begin) for name, each in header.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._places[name].shape

    def __getitem__(self, name: str) -> Tensor:
        place = self._places[name]
        tensor = torch.empty(place.shape, dtype=place.dtype)
        if tensor.numel():
            # as bytes, since numpy has neither bfloat16 nor float8
            self._read(name, place.start, tensor.view(-1).view(torch.uint8).numpy().data)
        return tensor

    def _read(self, name: str, start: int, into: memoryview) -> None:
        try:
            with self._lock:
                self._stream.seek(start)
                while into:
                    read = self._stream.readinto(into)
                    if not read:
                        raise CheckpointError(self.file, "was cut off while it was read", name)
                    into = into[read:]
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise CheckpointError(self.file, message, name) from error

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _read_header(stream: BinaryIO, file: str, size: int) -> tuple[dict[str, object], int]:
    """The header, and the offset of the data after it."""
    if size < 8:
        raise CheckpointError(file, f"is {size} bytes long: not a safetensors file")
    length = int.from_bytes(stream.read(8), "little")
    if length > MAX_HEADER:
        raise CheckpointError(file, f"claims a header of {length} bytes: not a safetensors file")
    if length > size - 8:
        raise CheckpointError(file, f"is truncated within its header of {length} bytes")
    try:
        header = json.loads(stream.read(length), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise CheckpointError(file, "has a header that is not JSON") from None
    if not isinstance(header, dict):
        raise CheckpointError(file, "has a header that is not a JSON object")
    if len(header) > MOST_TENSORS:
        raise CheckpointError(file, f"claims {len(header)} tensors")
    return header, 8 + length


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A dict of the pairs. Raises ValueError for a repeated name: readers differ in them."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that comes twice")
    return found


def _check_end(file: str, name: str, entry: object, data_size: int) -> None:
    """Raises `CheckpointError` for a tensor that is cut off; the library does not say which."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    match offsets:
        case [int(start), int(end)] if 0 <= start <= end:
            pass
        case _:
            raise CheckpointError(file, "has a malformed header entry", name)
    if end > data_size:
        message = f"ends at byte {end} of the data, but the file holds {data_size}: truncated"
        raise CheckpointError(file, message, name)


def _check(path: Path) -> None:
    """Check the header with the safetensors library: sizes fit shapes, no overlap, no gap."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError as error:
        raise CheckpointError(str(path), f"is not a sound safetensors file: {error}") from error


def _place(file: str, name: str, entry: object, begin: int) -> _Place:
    """The place of a tensor whose header entry was checked. Raises `CheckpointError`."""
    assert isinstance(entry, dict)
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise CheckpointError(file, f"has elements of type {entry['dtype']}, unknown here", name)
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if prod(shape) * dtype.itemsize != end - start:
        raise CheckpointError(file, f"has {end - start} bytes for a shape of {list(shape)}", name)
    return _Place(begin + start, dtype, shape)
