"""`FaceNetwork`, the base of all face networks, and building one from a file's tensors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.files.filling import check_state, fill_module
from hexfusion.adapters.gpu.torch_backend.files.weights import read_weights
from hexfusion.domain.errors import CheckpointError

#: Where training programs put the tensors in a `.pth`, the better ones first.
_INSIDE = ("params_ema", "params", "state_dict")
#: The published files' widest layer has 8192.
_WIDEST = 16384
#: Their prefix of every name.
_PREFIX = "module."


class FaceTensors(Mapping[str, Tensor]):
    """The tensors of `file` by name. A missing one raises `CheckpointError`, not `KeyError`."""

    def __init__(self, file: str, tensors: Mapping[str, Tensor]) -> None:
        self.file = file
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise CheckpointError(self.file, "is missing", name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def widths(self, name: str, dimensions: int = 4) -> tuple[int, ...]:
        """A tensor's shape. Raises `CheckpointError` unless it has that many `dimensions`, each of
        1 to 16384."""
        shape = tuple(self[name].shape)
        if len(shape) != dimensions or not all(0 < each <= _WIDEST for each in shape):
            raise CheckpointError(self.file, f"has shape {shape}", name)
        return shape

    def count(self, prefix: str) -> int:
        """How many of the names `prefix0`, `prefix1` ... exist before the first gap."""
        known = {name[len(prefix) :].partition(".")[0] for name in self if name.startswith(prefix)}
        number = 0
        while str(number) in known:
            number += 1
        return number


def read_face_tensors(file: Path) -> FaceTensors:
    """Read a file. Raises `CheckpointError` unless it holds plain tensors only."""
    tensors = read_weights(file, mmap=False, inside=_INSIDE).tensors
    if all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    return FaceTensors(str(file), tensors)


class FaceNetwork(nn.Module, ABC):
    """A network whose dimensions are read from a file's tensors."""

    @abstractmethod
    def fits(self) -> bool:
        """Whether a forward pass on the meta device gives the expected shapes."""


N = TypeVar("N", bound=FaceNetwork)


def build(state: FaceTensors, make: Callable[[FaceTensors], N]) -> N:
    """Build the network that `make` derives from these tensors, filled with them in float32.

    Other tensors in the file (training counters, a part that is not used) are ignored. Raises
    `CheckpointError` naming the tensor that is missing or does not fit.
    """
    try:
        with torch.device("meta"), torch.inference_mode():
            network = make(state).eval()
            known = {name: state[name] for name in network.state_dict()}
            check_state(network, known, state.file)
            fits = network.fits()
    except (ValueError, RuntimeError, AssertionError, IndexError) as error:  # layers check numbers
        raise CheckpointError(state.file, f"describes no network that works: {error}") from error
    if not fits:
        raise CheckpointError(state.file, "describes a network for something else")
    return fill_module(network, known, state.file)
