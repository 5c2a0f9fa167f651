"""Reads names and shapes of tensors from model files, without loading or executing anything."""

import struct
import zipfile
from collections.abc import Mapping
from typing import IO

import msgspec

from hexfusion.adapters.storage.catalogues.torch_pickle import read_pickles
from hexfusion.domain.extra_networks import Shape

#: Longest header that is read, in bytes; the safetensors format allows 100 MB.
_MAX_HEADER = 100_000_000
_MAX_PICKLE = 64_000_000
_ZIP = b"PK\x03\x04"


class Header(msgspec.Struct, frozen=True):
    """The header of a `.safetensors` file: metadata, and tensor shapes by name."""

    metadata: Mapping[str, str]
    shapes: Mapping[str, Shape]


class _Entry(msgspec.Struct):
    shape: tuple[int, ...]


def read_header(file: IO[bytes]) -> Header:
    """The header of a `.safetensors` file. Raises ValueError."""
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("too short for a safetensors file")
    (length,) = struct.unpack("<Q", start)
    if length > _MAX_HEADER:
        raise ValueError("no safetensors file: its header would be too long")
    try:
        raw = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        about = raw.pop("__metadata__", msgspec.Raw(b"{}"))
        return Header(
            metadata=msgspec.json.decode(about, type=dict[str, str]),
            shapes={name: Shape(_shape(each)) for name, each in raw.items()},
        )
    except RecursionError as error:
        raise ValueError("its header is nested too deep") from error


def read_content(file: IO[bytes], suffix: str) -> object:
    """The dictionary in a model file, with a `Shape` in place of each tensor.

    `suffix` distinguishes safetensors from torch's own format, which is a zip archive or, before
    torch 1.6, a sequence of pickles. Raises ValueError for a damaged file, and OSError.
    """
    if suffix.lower() == ".safetensors":
        return dict(read_header(file).shapes)
    start = file.read(4)
    file.seek(0)
    return _from_archive(file) if start == _ZIP else read_pickles(file, 4)[-1]


def shapes_in(file: IO[bytes], suffix: str) -> Mapping[str, Shape]:
    """Shapes of a checkpoint's tensors by name. Raises as `read_content` does."""
    content = read_content(file, suffix)
    inner = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(inner, dict):
        raise ValueError("holds no dictionary of tensors")
    return {str(name): each for name, each in inner.items() if isinstance(each, Shape)}


def _shape(entry: msgspec.Raw) -> tuple[int, ...]:
    return msgspec.json.decode(entry, type=_Entry).shape


def _from_archive(file: IO[bytes]) -> object:
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(each for each in archive.namelist() if each.endswith("/data.pkl"))
            entry = archive.getinfo(name)
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > _MAX_PICKLE:
                raise ValueError("no torch file: its pickle is compressed, or too long")
            with archive.open(name) as pickled:
                return read_pickles(pickled, 1)[0]
    except (zipfile.BadZipFile, StopIteration, EOFError, NotImplementedError, RuntimeError) as e:
        raise ValueError(f"no torch file: {e}") from e
