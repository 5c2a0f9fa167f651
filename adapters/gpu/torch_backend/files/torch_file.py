"""Reading files in torch's own format (`.ckpt`, `.pt`, `.pth`, `.bin`), checked beforehand.

torch's weights-only loader runs no code, but trusts the file otherwise. A file may call some two
hundred functions, create arrays of any size, hold compressed entries that inflate to any size (or,
if mapped, are read as noise), and claim tensors larger than the file. Model files need ten of those
functions and no compression, so anything else is refused. The pickle's instructions are read with
Python's `pickletools`.
"""

import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.files.validation import regular_file_size
from hexfusion.adapters.gpu.torch_backend.out_of_memory import ran_out
from hexfusion.domain.errors import CheckpointError

#: The functions and classes that tensors, and dictionaries of them, are made with.
_MAKERS = re.compile(
    r"collections OrderedDict"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|torch(\.cuda)? [A-Z][A-Za-z0-9]*Storage"
    r"|torch\.storage UntypedStorage"
    r"|torch (Size|device|u?int\d+|b?float\d+\w*|bool)"
    r"|_codecs encode"
    r"|(builtins|__builtin__) set"
)
#: Classes of training notes in files of early releases. They are read as `_Nothing`.
_NOTES = frozenset(
    f"{module}.{name}"
    for module, name in (
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
        ("pytorch_lightning.callbacks.early_stopping", "EarlyStopping"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
    )
)
#: Modules that are dictionaries of parameters. They are read as `_Parameters`.
_DICTIONARIES = frozenset({"torch.nn.modules.container.ParameterDict"})
#: Instructions in a file's pickles; a checkpoint has about forty for each tensor.
_MOST_STEPS = 1_000_000
#: Pickles before the tensors of a file from before torch 1.6.
_OLD_PICKLES = 5
#: Files from this size (bytes) are mapped, not read; a mapped file must not be truncated in use.
_LARGE = 2**30
#: Levels of nested containers in which tensors are counted.
_DEEPEST = 4


class _Nothing:
    """Stands in for a training note; accepts any arguments and state."""

    def __new__(cls, *arguments: object) -> "_Nothing":
        return super().__new__(cls)

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Parameters(dict[object, object]):
    """Stands in for a module that is but a dictionary of parameters: a dictionary of them.

    The first trainers of embeddings saved their vectors as such a module.
    """

    def __new__(cls, *arguments: object) -> "_Parameters":
        return super().__new__(cls)

    def __init__(self, *arguments: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Takes the parameters out of a module's state; everything else in it is dropped."""
        parameters = state.get("_parameters") if isinstance(state, dict) else None
        if isinstance(parameters, dict):
            self.update(parameters)


@cache
def _allow_stand_ins() -> None:
    """Allow the stand-ins' names in torch's weights-only loader, for the whole process."""
    torch.serialization.add_safe_globals(
        [
            *((_Nothing, name) for name in sorted(_NOTES)),
            *((_Parameters, name) for name in sorted(_DICTIONARIES)),
        ]
    )


def load_torch(path: Path, *, mmap: bool) -> object:
    """The content of the file: tensors and plain values. With `mmap` a large file is mapped.

    Raises `CheckpointError`, naming the file, for one that is damaged, holds other objects, or
    claims more data than it holds; and OSError.
    """
    file = str(path)
    size = regular_file_size(path)
    zipped = _check(path, size)
    _allow_stand_ins()
    try:
        content = torch.load(
            path,
            map_location="cpu",
            weights_only=True,
            mmap=mmap and zipped and size >= _LARGE,
        )
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        message = "holds more than plain tensors, or is damaged; convert it to safetensors"
        raise CheckpointError(file, message) from error
    except Exception as error:  # torch.load raises whatever a damaged archive makes it stumble on
        if ran_out(error):
            raise
        raise CheckpointError(file, "is not a sound torch file") from error
    stored = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for each in _tensors(content)
        if each.layout is torch.strided
    }
    if sum(stored.values()) > size:
        raise CheckpointError(file, "claims more numbers than the file holds")
    return content


def _tensors(content: object, depth: int = 0) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif depth < _DEEPEST:
        values = content.values() if isinstance(content, Mapping) else content
        if isinstance(values, list | tuple) or values is not content:
            for each in values:  # type: ignore[attr-defined]
                yield from _tensors(each, depth + 1)


def _check(path: Path, size: int) -> bool:
    """Whether it is a zip archive. Raises `CheckpointError`."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            if zipped:
                _check_archive(file, stream, size)
            else:
                steps = 0
                for _ in range(_OLD_PICKLES):
                    steps = _check_pickle(file, stream, steps)
    except OSError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, RuntimeError, MemoryError) as error:
        raise CheckpointError(file, f"is not a sound torch file: {error}") from error
    return zipped


def _check_archive(file: str, stream: IO[bytes], size: int) -> None:
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
            raise CheckpointError(file, "is a compressed archive; torch's own are not")
        if sum(each.file_size for each in entries) > size:
            raise CheckpointError(file, "is an archive that claims more than it holds")
        pickled = [each for each in entries if each.filename.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise CheckpointError(file, f"is an archive with {len(pickled)} pickles for one")
        with archive.open(pickled[0]) as program:
            _check_pickle(file, program, 0)


def _check_pickle(file: str, program: IO[bytes], steps: int) -> int:
    """Check one pickle; returns `steps` plus its instructions.

    Raises `CheckpointError`, and ValueError for what is no pickle.
    """
    for instruction, argument, _ in pickletools.genops(program):
        steps += 1
        if steps > _MOST_STEPS:
            raise CheckpointError(file, f"has a pickle of more than {_MOST_STEPS} instructions")
        if instruction.name in ("GLOBAL", "INST") and not _is_known(str(argument)):
            asked = ascii(str(argument)[:100].replace(" ", "."))
            message = f"asks for {asked}, which no tensors need; convert it to safetensors"
            raise CheckpointError(file, message)
    return steps


def _is_known(name: str) -> bool:
    return bool(_MAKERS.fullmatch(name)) or name.replace(" ", ".") in _NOTES | _DICTIONARIES
