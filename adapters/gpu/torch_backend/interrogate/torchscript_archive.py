"""Reading the tensors of a TorchScript archive without executing it.

OpenAI published CLIP in this format: a zip file with a program (`code/`), a pickle of the module's
attributes (`data.pkl`) and the tensors' bytes (`data/`). The program is never read. The pickle is
interpreted here, by the few instructions that attributes need; the only function it may call is the
one that rebuilds a tensor. Sources: torch's documentation of the format,
`torch/csrc/jit/docs/serialization.md`; Python's `pickletools`.
"""

import io
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hexfusion.domain.errors import CheckpointError

#: Bytes of the pickle at most; CLIP's has a quarter of a million.
_MAX_PICKLE = 64 << 20
_KINDS = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
    }
)  # fmt: skip
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_FIXED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class _Name(NamedTuple):
    """A function or class that the pickle names, by module and name."""

    text: str


class _Storage(NamedTuple):
    """The dtype of a tensor's storage, and its file name in the archive."""

    dtype: torch.dtype
    key: str


class _Stored(NamedTuple):
    """The description of a tensor that is not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Module(dict[str, Any]):
    """A module's attributes by name."""


def is_torchscript_archive(path: Path) -> bool:
    """Whether the file is a TorchScript archive: a zip file with a program in `code/`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())


def read_torchscript_archive(path: Path) -> dict[str, Tensor]:
    """The tensors by their dotted names. Raises `CheckpointError`."""
    file = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            inside = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            if archive.getinfo(inside).file_size > _MAX_PICKLE:
                raise CheckpointError(file, "has a list of tensors that is too long")
            top = _run(archive.read(inside))
            folder = inside.removesuffix(".pkl")
            return {name: _tensor(archive, folder, each) for name, each in _stored(top)}
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise CheckpointError(file, "is not a sound torch file") from error
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(file, f"holds more than plain tensors: {error}") from error


def _stored(module: object, before: str = "", depth: int = 0) -> Iterator[tuple[str, _Stored]]:
    if not isinstance(module, _Module):
        raise ValueError("it is no module")
    if depth > 64:
        raise ValueError("its modules lie in each other without end")
    for name, value in module.items():
        if isinstance(value, _Stored):
            yield f"{before}{name}", value
        elif isinstance(value, _Module):
            yield from _stored(value, f"{before}{name}.", depth + 1)


def _tensor(archive: zipfile.ZipFile, folder: str, stored: _Stored) -> Tensor:
    """Read a tensor. Raises ValueError if it reaches beyond its storage."""
    storage, offset, shape, strides = stored
    info = archive.getinfo(f"{folder}/{storage.key}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min(offset, 0, *strides, *shape) < 0 or (last + 1) * storage.dtype.itemsize > info.file_size:
        raise ValueError("a tensor reaches beyond its numbers")
    numbers = torch.frombuffer(bytearray(archive.read(info)), dtype=storage.dtype)
    return numbers.as_strided(shape, strides, offset).clone()


def _run(data: bytes) -> object:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for code, argument, _ in pickletools.genops(io.BytesIO(data)):
        match code.name:
            case "STOP":
                return stack.pop()
            case "PROTO" | "FRAME":
                pass
            case name if name in _LITERALS:
                stack.append(argument)
            case name if name in _EMPTY:
                stack.append(_EMPTY[name]())
            case name if name in _FIXED:
                stack.append(_FIXED[name])
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
            case "MARK":
                stack.append(_MARK)
            case "TUPLE":
                stack.append(tuple(_marked(stack)))
            case "LIST":
                stack.append(_marked(stack))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = _marked(stack)
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "APPEND":
                value = stack.pop()
                stack[-1].append(value)
            case "APPENDS":
                values = _marked(stack)
                stack[-1].extend(values)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_Name(argument))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_made(function, arguments))
            case "BUILD":
                attributes = stack.pop()
                _attributes(stack[-1], attributes)
            case name:
                raise ValueError(f"instruction {name}")
    raise ValueError("no end")


def _marked(stack: list[Any]) -> list[Any]:
    """Pop the stack's entries down to the last mark."""
    taken: list[Any] = []
    while (top := stack.pop()) is not _MARK:
        taken.append(top)
    return taken[::-1]


def _storage(of: Any) -> _Storage:
    _, kind, key, *_ = of
    dtype = _KINDS[kind.text.rpartition(" ")[2]] if isinstance(kind, _Name) else None
    if dtype is None or not isinstance(key, str) or not key.isalnum():
        raise ValueError("a tensor of unknown numbers")
    return _Storage(dtype, key)


def _made(function: object, arguments: Any) -> object:
    match function:
        case _Name("torch._utils _rebuild_tensor_v2"):
            storage, offset, shape, strides, *_ = arguments
            numbers = (offset, *shape, *strides)
            if not isinstance(storage, _Storage) or not all(type(n) is int for n in numbers):
                raise ValueError("a tensor without sides")
            return _Stored(storage, offset, tuple(shape), tuple(strides))
        case _Name(text) if text.startswith("__torch__."):
            return _Module()
    return None  # such as hooks, of which there are none


def _attributes(module: object, attributes: Mapping[Any, Any]) -> None:
    if isinstance(module, _Module):
        module.update({name: value for name, value in attributes.items() if isinstance(name, str)})
