"""Reading the tensors of a checkpoint file, by their original (LDM) names.

Safetensors files are read tensor by tensor, `.ckpt` and `.pt` files by torch's weights-only loader,
so no code from a file ever runs. Source: spec networks.md 1.4.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.safetensors_file import SafetensorsFile
from hexfusion.adapters.gpu.torch_backend.files.torch_file import load_torch
from hexfusion.adapters.gpu.torch_backend.files.validation import check_plain
from hexfusion.adapters.gpu.torch_backend.out_of_memory import ran_out
from hexfusion.domain.errors import CheckpointError

_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
_OLD_TEXT_PREFIX = "cond_stage_model.transformer."
_TEXT_PREFIX = "cond_stage_model.transformer.text_model."
_XL_TEXT = "conditioner.embedders.0."
_SD2_TEXT = "cond_stage_model."
_OLD_TEXT_PARTS = ("embeddings.", "encoder.", "final_layer_norm.")


@dataclass(frozen=True, eq=False)
class Weights(Mapping[str, Tensor]):
    """The tensors of one file by their original names, on the CPU and as stored.

    A tensor may be read from disk at each access, so copy what is to be kept. `metadata` is a
    safetensors header's `__metadata__`; empty for other files.
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
        """All tensors' shapes by name, without reading the tensors."""
        if isinstance(self.tensors, _Renamed):
            return {name: self.tensors.shape(name) for name in self.tensors}
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


class _Renamed(Mapping[str, Tensor]):
    """Tensors under other names: `names` maps each to its name in `tensors`."""

    def __init__(self, names: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
        self._names = names
        self._tensors = tensors

    def shape(self, name: str) -> tuple[int, ...]:
        return _shape(self._tensors, self._names[name])

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._names[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """The shape of a tensor, if possible without reading it."""
    if isinstance(tensors, SafetensorsFile):
        return tensors.shape(name)
    return tuple(tensors[name].shape)


def read_weights(
    path: Path, *, mmap: bool = True, inside: Sequence[str] = ("state_dict",)
) -> Weights:
    """All tensors of a `.safetensors`, `.ckpt` or `.pt` file.

    With `mmap` a large torch file is mapped, and a safetensors file's tensors are read at each
    access; without it everything is read now. A torch file may hold its tensors in a dict under one
    of the names `inside`, the first taking precedence. Old text-encoder names are rewritten. Raises
    `CheckpointError` for a file that is missing, truncated, malformed, or holds anything but plain
    tensors.
    """
    file = str(path)
    metadata: Mapping[str, str] = {}
    tensors: Mapping[str, Tensor]
    try:
        if path.suffix.lower() == ".safetensors":
            stored = SafetensorsFile(path)
            tensors, metadata = stored if mmap else dict(stored), stored.metadata
        else:
            tensors = _read_torch(path, mmap, inside)
    except OSError as error:
        if ran_out(error):
            raise
        raise CheckpointError(file, f"cannot be read: {error.strerror or error}") from error
    if not tensors:
        raise CheckpointError(file, "holds no tensors")
    return Weights(file, _Renamed(_names(tensors), tensors), metadata)


def _names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The original names of all tensors, mapped to their names in the file."""
    wrapper = _wrapper(tensors)
    names = {modern_name(name.removeprefix(wrapper)): name for name in tensors}
    norm = names.get(f"{_XL_TEXT}model.ln_final.weight")
    # SD2-turbo is laid out as SDXL's refiner; the width of its text encoder tells them apart
    if norm is not None and _shape(tensors, norm) == (1024,):
        return {_sd2_name(name): old for name, old in names.items()}
    return names


def _wrapper(names: Iterable[str]) -> str:
    """The common prefix of all names in files of a wrapped model, such as `module.`."""
    first = next((name for name in names if name.endswith(f".{_FIRST}")), _FIRST)
    return first.removesuffix(_FIRST)


def modern_name(name: str) -> str:
    """Today's name of a tensor: old SD1 files lack `text_model.` in the text encoder's names."""
    if name.startswith(_OLD_TEXT_PREFIX):
        rest = name.removeprefix(_OLD_TEXT_PREFIX)
        if rest.startswith(_OLD_TEXT_PARTS):
            return _TEXT_PREFIX + rest
    return name


def _sd2_name(name: str) -> str:
    return _SD2_TEXT + name.removeprefix(_XL_TEXT) if name.startswith(_XL_TEXT) else name


def _read_torch(path: Path, mmap: bool, inside: Sequence[str]) -> dict[str, Tensor]:
    content = load_torch(path, mmap=mmap)
    if isinstance(content, dict):
        wrapped = (content[name] for name in inside if isinstance(content.get(name), dict))
        content = next(wrapped, content)
    if not isinstance(content, dict):
        raise CheckpointError(str(path), f"holds a {type(content).__name__}, not named tensors")
    return {
        name: check_plain(value, str(path), name)
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def read_torch_file(path: Path) -> object:
    """The content of a `.pt` or `.bin` file: tensors and plain values.

    Raises `CheckpointError` for a file that is missing, damaged, or holds other objects.
    """
    try:
        return load_torch(path, mmap=False)
    except OSError as error:
        raise CheckpointError(str(path), f"cannot be read: {error.strerror or error}") from error
